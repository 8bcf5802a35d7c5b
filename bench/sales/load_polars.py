"""Polars: a CSV of sales → checked → Parquet by day, and totals by day for each grouping."""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl  # noqa: E402

from cost import report  # noqa: E402

source, target = sys.argv[1:3]
read = pl.scan_csv(source, infer_schema=False).select(
    pl.col("id_pedido").str.strip_chars(),
    pl.col("id_produto").str.strip_chars(),
    pl.col("quantidade").cast(pl.Int32, strict=False),
    (pl.col("preco").cast(pl.Float64, strict=False) * 100).round().cast(pl.Int64).alias("centavos"),
    pl.col("data").str.to_date("%Y-%m-%d", strict=False).alias("dia"),
    pl.col("regiao").str.strip_chars(),
    pl.col("categoria").str.strip_chars(),
)
good = (
    (pl.col("id_pedido") != "")
    & (pl.col("id_produto") != "")
    & pl.col("quantidade").is_not_null()
    & (pl.col("centavos") >= 0)
    & pl.col("dia").is_between(pl.date(1990, 1, 1), pl.date(2026, 12, 31))
).fill_null(False)
lines = f"{target}/vendas.parquet"
read.filter(good).sort("dia", "id_pedido").sink_parquet(lines, compression="zstd")
read.filter(~good).sink_csv(f"{target}/quarentena.csv")
for key in ("id_produto", "regiao", "categoria", None):
    keys = ["dia"] + ([key] if key else [])
    totals = (
        pl.scan_parquet(lines)
        .group_by(keys)
        .agg(
            pl.col("quantidade").cast(pl.Int64).sum(),
            (pl.col("quantidade").cast(pl.Int64) * pl.col("centavos")).sum().alias("receita"),
            pl.col("id_pedido").n_unique().alias("pedidos"),
        )
        .sort(keys)
    )
    totals.sink_parquet(f"{target}/totais_{key or 'tudo'}.parquet", compression="zstd")
sums = pl.read_parquet(f"{target}/totais_tudo.parquet").select("quantidade", "receita").sum().row(0)
rows = pl.scan_parquet(lines).select(pl.len()).collect().item()
report(rows, sums[0], f"{sums[1] // 100}.{sums[1] % 100:02}")
