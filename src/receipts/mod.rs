//! Receipts: what gateways say later of messages that they took.
//!
//! A gateway reports to an address that is made for one message and signed ([`receipt_key`]), at any node.
//! Whether it checks out is decided by [`reception`]. [`caller`] reads what
//! a gateway says, by its profile or by [`form`], notty's own. [`gatherer`] hands receipts to the state in groups, and
//! answers each once its group is committed. [`asked`] goes with a lease: nodes sign, and postmen make the addresses. The state decides what a receipt changes.

pub mod asked;
pub mod caller;
pub mod form;
pub mod gatherer;
pub mod receipt_key;
pub mod reception;

pub use self::{
    asked::{AskedReceipts, ReceiptBase, WantedReceipts},
    caller::{CallLanguage, ReceiptCaller},
    gatherer::{GatheredReceipts, ReceiptFault, ReceiptGatherer},
    receipt_key::ReceiptSignature,
    reception::{ReceiptAddress, ReceiptDenial, Reception},
};

/// The name of the gateway of `[gateway]`.
pub const DEFAULT_GATEWAY: &str = "default";
