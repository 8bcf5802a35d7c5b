CREATE TABLE IF NOT EXISTS estoque (
    id_produto VARCHAR(256) NOT NULL,
    nivel_estoque BIGINT NOT NULL,
    ultima_atualizacao TIMESTAMP NOT NULL,
    dia DATE NOT NULL,
    topico VARCHAR(249),
    particao INTEGER,
    posicao BIGINT
)
DISTSTYLE KEY DISTKEY (id_produto)
COMPOUND SORTKEY (id_produto, ultima_atualizacao);
