"""A Lambda handler in Python: FastAPI behind Mangum."""
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/vouchers/me")
def my_vouchers():
    return []


handler = Mangum(app)
