//! Tests of the practice gateway over real connections.

mod every_receipt;
mod faulty_receipts;
mod receiver;
mod sending;
