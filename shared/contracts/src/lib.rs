//! What crosses the wire: HTTP bodies, messages and events, as the companies name them.

pub mod changes;
pub mod collect;
pub mod customers;
pub mod envelope;
pub mod events;
pub mod fields;
pub mod jobs;
pub mod kafka_event;
pub mod live;
pub mod mgm;
pub mod page;
pub mod quality;
pub mod sales;
pub mod sales_summary;
pub mod stock;
pub mod stock_pages;
pub mod telesales;
