"""DuckDB: a CSV of sales → checked → Parquet by day, and totals by day for each grouping."""

import sys

import duckdb

from cost import report

source, target = sys.argv[1:3]
lake = duckdb.connect()
lake.execute("SET threads = 2")
lake.execute("SET preserve_insertion_order = false")
lake.execute(f"SET temp_directory = '{target}/tmp'")
lake.execute(
    f"""
    CREATE TEMP VIEW read AS SELECT
        trim(id_pedido) AS id_pedido, trim(id_produto) AS id_produto,
        TRY_CAST(quantidade AS INTEGER) AS quantidade,
        TRY_CAST(preco AS DECIMAL(18, 2)) AS preco,
        TRY_CAST(data AS TIMESTAMP) AS data, trim(regiao) AS regiao, trim(categoria) AS categoria
    FROM read_csv('{source}', header = true, all_varchar = true)
    """
)
GOOD = """id_pedido <> '' AND id_produto <> '' AND quantidade IS NOT NULL AND preco >= 0
    AND data BETWEEN TIMESTAMP '1990-01-01' AND now()::TIMESTAMP + INTERVAL 1 DAY"""
lake.execute(
    f"""COPY (SELECT *, data::DATE AS dia FROM read WHERE {GOOD} ORDER BY dia, id_pedido)
    TO '{target}/vendas.parquet' (FORMAT parquet, COMPRESSION zstd)"""
)
lake.execute(
    f"""COPY (SELECT * FROM read WHERE NOT coalesce({GOOD}, false))
    TO '{target}/quarentena.csv' (HEADER)"""
)
for key in ("id_produto", "regiao", "categoria", "'tudo'"):
    name = key.strip("'")
    lake.execute(
        f"""COPY (SELECT dia, {key} AS chave, sum(quantidade) AS quantidade,
            sum(quantidade * preco) AS receita, count(DISTINCT id_pedido) AS pedidos
        FROM '{target}/vendas.parquet' GROUP BY ALL ORDER BY dia, chave)
        TO '{target}/totais_{name}.parquet' (FORMAT parquet, COMPRESSION zstd)"""
    )
rows = lake.execute(f"SELECT count(*) FROM '{target}/vendas.parquet'").fetchone()[0]
sums = lake.execute(
    f"SELECT sum(quantidade), sum(receita) FROM '{target}/totais_tudo.parquet'"
).fetchone()
report(rows, int(sums[0]), sums[1])
