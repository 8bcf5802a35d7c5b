"""A consumer as a Python team would write it: confluent-kafka and PyMySQL, one transaction a poll.
It does what telesales-consumer does to the same table."""
import hashlib
import hmac
import json
import os
import sys
import time

import pymysql
from confluent_kafka import Consumer

ROWS_PER_STATEMENT = 500
KEY = os.environ["PSEUDONYM_KEY"].encode()


def pseudonym(kind, text):
    return hmac.new(KEY, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()[:32]


def e164(phone):
    number = "".join(c for c in phone or "" if c.isdigit()).removeprefix("55")
    return "+55" + number if len(number) in (10, 11) else None


def read(message):
    """Subject, version, place, then name, phone, region and mark, or nothing of them."""
    place = (message.partition(), message.offset(), message.timestamp()[1])
    if message.value() is None:
        return (pseudonym("cliente", message.key().decode()), -1, *place, None)
    customer = json.loads(message.value())
    subject, phone = pseudonym("cliente", customer["id_cliente"]), e164(customer["telefone"])
    row = None
    if customer["consentimentos"].get("televendas") and phone and customer["nome"]:
        row = (customer["nome"], phone, customer["regiao"], pseudonym("telefone", phone))
    return (subject, customer["versao"], *place, row)


def apply(connection, changes):
    newest = {}
    for change in changes:
        known = newest.get(change[0])
        if known is None or change[1] > known[1] or change[1] < 0:
            newest[change[0]] = change
    subjects = sorted(newest)
    with connection.cursor() as cursor:
        for start in range(0, len(subjects), ROWS_PER_STATEMENT):
            part = subjects[start:start + ROWS_PER_STATEMENT]
            places = ",".join(["%s"] * len(part))
            cursor.execute(
                f"SELECT subject, version FROM contacts WHERE subject IN ({places}) "
                "ORDER BY subject FOR UPDATE", part)
            for subject, version in cursor.fetchall():
                if 0 <= newest[subject][1] <= version:
                    del newest[subject]
            now = int(time.time() * 1000)
            rows = [
                (*newest[subject][:5], now, int(newest[subject][5] is None),
                 *(newest[subject][5] or (None, None, None, None)))
                for subject in part if subject in newest
            ]
            if rows:
                cursor.executemany(
                    "REPLACE INTO contacts (subject, version, source_partition, source_offset, "
                    "recorded_ms, changed_ms, deleted, name, phone, region, phone_mark) "
                    "VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)", rows)
    connection.commit()


def main():
    want, done = int(sys.argv[1]), 0
    connection = pymysql.connect(
        host="127.0.0.1", port=int(os.environ["MYSQL_PORT"]), user="root",
        database=os.environ["MYSQL_DATABASE"], autocommit=False)
    consumer = Consumer({
        "bootstrap.servers": os.environ["KAFKA_BROKERS"], "group.id": os.environ["KAFKA_GROUP"],
        "auto.offset.reset": "earliest", "enable.auto.commit": False,
    })
    consumer.subscribe([os.environ["KAFKA_TOPIC"]])
    while done < want:
        messages = consumer.consume(2000, timeout=0.05)
        if messages:
            apply(connection, [read(message) for message in messages if not message.error()])
            consumer.commit(asynchronous=True)
            done += len(messages)
    print("done", flush=True)
    time.sleep(3600)


main()
