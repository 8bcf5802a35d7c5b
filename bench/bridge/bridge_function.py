"""The same bridge with Powertools for AWS Lambda (Python) and boto3: envelopes in tens, or with
ONE_PER_REQUEST=1 one message a request, as connectors do it. Failed entries are reported."""
import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
from aws_lambda_powertools.utilities.data_classes import KafkaEvent, event_source
from botocore.config import Config

THREADS = int(os.environ.get("THREADS", "32"))
QUEUES = json.loads(os.environ["TOPIC_QUEUES"])
ONE_PER_REQUEST = os.environ.get("ONE_PER_REQUEST") == "1"
sqs = boto3.client("sqs", config=Config(max_pool_connections=THREADS))
pool = ThreadPoolExecutor(THREADS)


def envelope(record):
    body = {
        "v": 1,
        "topico": record.topic,
        "particao": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp,
        "tipo_timestamp": record.timestamp_type,
    }
    if record.key is not None:
        body["chave"] = record.key
    if record.value is not None:
        body["valor"] = record.value
    body["cabecalhos"] = [
        {"nome": name, "valor": base64.b64encode(bytes(b & 0xFF for b in value)).decode()}
        for header in record.headers
        for name, value in header.items()
    ]
    return json.dumps(body)


def send(request):
    queue, records = request
    try:
        if ONE_PER_REQUEST:
            sqs.send_message(QueueUrl=queue, MessageBody=envelope(records[0]))
            return []
        entries = [
            {"Id": str(place), "MessageBody": envelope(record)}
            for place, record in enumerate(records)
        ]
        failed = sqs.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed", [])
        return [records[int(entry["Id"])] for entry in failed]
    except Exception:
        return records


@event_source(data_class=KafkaEvent)
def handler(event: KafkaEvent, context):
    by_queue = {}
    for record in event.records:
        by_queue.setdefault(QUEUES[record.topic], []).append(record)
    size = 1 if ONE_PER_REQUEST else 10
    requests = [
        (queue, records[start : start + size])
        for queue, records in by_queue.items()
        for start in range(0, len(records), size)
    ]
    first = {}
    for failed in pool.map(send, requests):
        for record in failed:
            partition = f"{record.topic}-{record.partition}"
            first[partition] = min(record.offset, first.get(partition, record.offset))
    return {
        "batchItemFailures": [
            {"itemIdentifier": {"partition": partition, "offset": offset}}
            for partition, offset in first.items()
        ]
    }
