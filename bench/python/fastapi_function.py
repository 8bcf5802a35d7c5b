"""The same cold start in Python: FastAPI behind Mangum, on AWS's Lambda runtime client."""
import os

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/vouchers/me")
def my_vouchers():
    return []


handler = Mangum(app)

if __name__ == "__main__":
    from awslambdaric import bootstrap

    bootstrap.run(os.getcwd(), "bench.python.fastapi_function.handler", os.environ["AWS_LAMBDA_RUNTIME_API"])
