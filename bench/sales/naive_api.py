"""GET /vendas/resumo as a first version is written: FastAPI, pandas, a query, to_dict."""

import sys

import pandas as pd
import uvicorn
from fastapi import FastAPI

SALES = pd.read_parquet(sys.argv[1])
app = FastAPI()


@app.get("/vendas/resumo")
def summary():
    sales = SALES.assign(receita=SALES["quantidade"] * SALES["preco"])
    groups = sales.groupby("id_produto").agg(
        total_vendido=("quantidade", "sum"),
        receita=("receita", "sum"),
        pedidos=("id_pedido", "nunique"),
    )
    groups = groups.sort_values("total_vendido", ascending=False).reset_index()
    return groups.to_dict("records")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
