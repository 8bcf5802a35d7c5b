#!/usr/bin/env bash
# Compares a Redshift that sync-warehouse fills with the API of the same stack.
# Needs psql, curl and jq. REDSHIFT_URL as postgresql://…?sslmode=require, API and TOKEN (vendas:read).
set -euo pipefail
: "${REDSHIFT_URL:?postgresql://user:password@host:5439/database?sslmode=require}"
: "${API:?https://….execute-api.….amazonaws.com}"
: "${TOKEN:?a token with the scope vendas:read}"

ask() { psql "$REDSHIFT_URL" --no-psqlrc --tuples-only --no-align --field-separator=' ' -c "$1"; }

echo "files that are in, and the version of each table:"
ask "SELECT tabela, COUNT(*) FROM feira_arquivos GROUP BY tabela ORDER BY tabela"
ask "SELECT tabela, versao, carregado_em FROM feira_versoes ORDER BY tabela"

here=$(ask "SELECT TO_CHAR(dia, 'YYYY-MM'), SUM(quantidade), SUM(quantidade * preco) \
  FROM vendas GROUP BY 1 ORDER BY 1")
there=$(curl --fail --silent --show-error -H "authorization: Bearer $TOKEN" \
  "$API/vendas/resumo?agrupar_por=mes&limite=1000" |
  jq -r 'sort_by(.mes)[] | "\(.mes) \(.total_vendido) \(.receita)"')
if [ "$here" = "$there" ]; then
  echo "the months are the same on both sides"
else
  diff <(echo "$here") <(echo "$there") || true
  echo "the months differ: was something loaded after the last sync?" >&2
  exit 1
fi
twice=$(ask "SELECT COUNT(*) FROM (SELECT id_pedido, dia, linha FROM vendas \
  GROUP BY 1, 2, 3 HAVING COUNT(*) > 1) repetidas")
[ "$twice" -eq 0 ] || { echo "$twice lines are there twice" >&2; exit 1; }
echo "no line is there twice"
