"""Reads the lake as an analyst would, and prints what it saw as JSON."""

import json
import os
import sys

TOTALS = """
    SELECT count(*), count(DISTINCT id_pedido), sum(quantidade),
           CAST(sum(quantidade * preco) AS VARCHAR), min(dia), max(dia)
    FROM lago.vendas {at}
"""

GROUPS = """
    SELECT coalesce({key}, ''), sum(quantidade), CAST(sum(quantidade * preco) AS VARCHAR),
           count(DISTINCT id_pedido)
    FROM vendas GROUP BY 1 ORDER BY 1
"""
KEYS = {
    "produto": "id_produto",
    "regiao": "regiao",
    "categoria": "categoria",
    "dia": "CAST(dia AS VARCHAR)",
    "mes": "substr(CAST(dia AS VARCHAR), 1, 7)",
}


def attached(catalogue):
    """DuckDB with the lake, as docs/lake.md attaches it."""
    import duckdb
    from duckdb_extensions import import_extension

    connection = duckdb.connect()
    for extension in ("ducklake", "sqlite_scanner", "mysql_scanner"):
        import_extension(extension)
        connection.execute(f"LOAD {extension}")
    connection.execute(f"ATTACH '{catalogue}' AS lago (READ_ONLY)")
    return connection


def totals(connection, at=""):
    row = connection.execute(TOTALS.format(at=at)).fetchone()
    return [str(value) for value in row]


def duckdb_totals(catalogue, *versions):
    connection = attached(catalogue)
    tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lago'")
    seen = {
        "tables": sorted(name for (name,) in tables.fetchall()),
        "now": totals(connection),
        "days": [
            [str(day), str(rows)]
            for day, rows in connection.execute(
                "SELECT dia, count(*) FROM lago.vendas WHERE regiao = 'SP' GROUP BY dia ORDER BY dia"
            ).fetchall()
        ],
        "snapshots": connection.execute("SELECT count(*) FROM lago.snapshots()").fetchone()[0],
        "committed": connection.execute(
            "SELECT epoch_ms(max(snapshot_time)) FROM lago.snapshots()"
        ).fetchone()[0],
    }
    for version in versions:
        seen[version] = totals(connection, f"AT (VERSION => {version})")
    return seen


def groups(ask):
    """The totals of the API's groupings, from one snapshot."""
    return {
        name: [[str(value) for value in row] for row in ask(GROUPS.format(key=key))]
        for name, key in KEYS.items()
    }


def watch(stop, look):
    """Looks until the file `stop` is there; each answer is kept, and their number told."""
    answers = []
    while not os.path.exists(stop):
        answers.append(look())
        with open(f"{stop}.answers", "w") as told:
            told.write(str(len(answers)))
    answers.append(look())
    return answers


def duckdb_watch(catalogue, stop):
    connection = attached(catalogue)
    connection.execute("USE lago")

    def look():
        connection.execute("BEGIN")
        seen = groups(lambda sql: connection.execute(sql).fetchall())
        connection.execute("COMMIT")
        return seen

    return watch(stop, look)


def duckdb_insert(catalogue):
    """Another engine's commit, after ours."""
    import duckdb
    from duckdb_extensions import import_extension

    connection = duckdb.connect()
    for extension in ("ducklake", "sqlite_scanner", "mysql_scanner"):
        import_extension(extension)
        connection.execute(f"LOAD {extension}")
    connection.execute(f"ATTACH '{catalogue}' AS lago (DATA_INLINING_ROW_LIMIT 0)")
    connection.execute(
        "INSERT INTO lago.vendas VALUES ('de-fora', 'p1', 1, 1.00, TIMESTAMP '2026-11-20 12:00:00',"
        " NULL, NULL, DATE '2026-11-20', 1, 99)"
    )
    return totals(connection)


def spark_watch(manifest, stop):
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "512m")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )

    def look():
        with open(manifest) as lines:
            files = lines.read().split()
        session.read.parquet(*files).createOrReplaceTempView("vendas")
        return groups(lambda sql: session.sql(sql.replace("VARCHAR", "STRING")).collect())

    return watch(stop, look)


if __name__ == "__main__":
    work, *arguments = sys.argv[1:]
    print(json.dumps(globals()[work](*arguments)))
