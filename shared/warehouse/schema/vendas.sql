CREATE TABLE IF NOT EXISTS vendas (
    id_pedido VARCHAR(256) NOT NULL,
    id_produto VARCHAR(256) NOT NULL,
    quantidade INTEGER NOT NULL,
    preco DECIMAL(18, 2) NOT NULL,
    data TIMESTAMP NOT NULL,
    regiao VARCHAR(400),
    categoria VARCHAR(400),
    dia DATE NOT NULL,
    linha INTEGER NOT NULL,
    carga BIGINT NOT NULL
)
DISTSTYLE KEY DISTKEY (id_pedido)
COMPOUND SORTKEY (dia, id_pedido);
