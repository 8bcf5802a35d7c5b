CREATE TABLE IF NOT EXISTS produtos_mais_vistos (
    id_produto VARCHAR(256) NOT NULL,
    "count" BIGINT NOT NULL,
    dia DATE NOT NULL
)
DISTSTYLE KEY DISTKEY (id_produto)
COMPOUND SORTKEY (dia, id_produto);
