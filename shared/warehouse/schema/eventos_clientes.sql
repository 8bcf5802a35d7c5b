CREATE TABLE IF NOT EXISTS eventos_clientes (
    id_usuario VARCHAR(256) NOT NULL,
    tipo_evento VARCHAR(64) NOT NULL,
    id_produto VARCHAR(256),
    "timestamp" TIMESTAMP NOT NULL,
    id_evento VARCHAR(256) NOT NULL,
    id_sessao VARCHAR(256),
    quantidade INTEGER,
    preco DECIMAL(18, 2),
    ref VARCHAR(800),
    regiao VARCHAR(400),
    dia DATE NOT NULL,
    topico VARCHAR(249),
    particao INTEGER,
    posicao BIGINT
)
DISTSTYLE KEY DISTKEY (id_evento)
COMPOUND SORTKEY (dia, id_usuario);
