"""PySpark on two threads: a CSV of sales → checked → Parquet by day, and totals by day."""

import sys

from pyspark.sql import SparkSession, functions as f

from cost import report

source, target = sys.argv[1:3]
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.memory", "3g")
    .config("spark.sql.shuffle.partitions", "4")
    .config("spark.sql.ansi.enabled", "false")
    .config("spark.sql.parquet.compression.codec", "zstd")
    .config("spark.log.level", "ERROR")
    .getOrCreate()
)
read = spark.read.csv(source, header=True).select(
    f.trim("id_pedido").alias("id_pedido"),
    f.trim("id_produto").alias("id_produto"),
    f.col("quantidade").cast("int"),
    f.col("preco").cast("decimal(18,2)"),
    f.col("data").cast("timestamp"),
    f.trim("regiao").alias("regiao"),
    f.trim("categoria").alias("categoria"),
)
good = f.coalesce(
    f.expr(
        "id_pedido <> '' AND id_produto <> '' AND quantidade IS NOT NULL AND preco >= 0 "
        "AND data BETWEEN timestamp'1990-01-01' AND now() + INTERVAL 1 DAY"
    ),
    f.lit(False),
)
lines = f"{target}/vendas"
read.filter(good).withColumn("dia", f.to_date("data")).repartitionByRange(
    4, "dia"
).sortWithinPartitions("dia", "id_pedido").write.parquet(lines)
read.filter(~good).write.csv(f"{target}/quarentena")
sales = spark.read.parquet(lines)
for key in ("id_produto", "regiao", "categoria", None):
    keys = ["dia"] + ([key] if key else [])
    sales.groupBy(*keys).agg(
        f.sum("quantidade").alias("quantidade"),
        f.sum(f.col("quantidade") * f.col("preco")).alias("receita"),
        f.countDistinct("id_pedido").alias("pedidos"),
    ).write.parquet(f"{target}/totais_{key or 'tudo'}")
sums = spark.read.parquet(f"{target}/totais_tudo").agg(f.sum("quantidade"), f.sum("receita")).first()
rows = sales.count()
java = spark.sparkContext._gateway.proc.pid
revenue = sums[1].quantize(sums[1].__class__("0.01"))
# spark-submit becomes the JVM by exec.
report(rows, sums[0], revenue, java=java)
spark.stop()
