"""Starts fastapi_function on AWS's Lambda runtime client, as the managed runtime does."""
import os
import sys

from awslambdaric import bootstrap

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
bootstrap.run(here, "fastapi_function.handler", os.environ["AWS_LAMBDA_RUNTIME_API"])
