-- Figures of a busy minute are larger than MySQL's BLOB: two hundred kilobytes and more.
ALTER TABLE live_parts MODIFY COLUMN figures MEDIUMBLOB NOT NULL;
