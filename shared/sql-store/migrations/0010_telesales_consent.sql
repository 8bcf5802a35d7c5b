-- Whether a customer agreed to be called: where Feira is the customers' master, the record of
-- `clientes` says so to telesales. Nothing is known of rows that are older than this column.
ALTER TABLE customers ADD COLUMN telesales_consent INTEGER;
