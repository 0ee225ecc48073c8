//! The receipts of a provider: what `[receipts]` of a profile says about its calls, and what a call means.
//!
//! A provider reports the fate of messages by calling a URL: one for each message, or one for the whole
//! account. [`ReceiptForm`] is a pure function from such a call to [`DeliveryReceipt`]s, and has the answer that
//! the provider wants. Nothing here looks up messages or checks the key of a URL. [`mod@receipt`] has the
//! statements, [`call`] takes a call apart, [`item`] finds the values of one receipt in it, [`subject`] the
//! message that it speaks of, [`form`] reads the section, [`signature`] checks calls that are signed, and
//! [`reader`] puts them together.

mod call;
mod form;
mod item;
mod reader;
mod receipt;
mod signature;
mod subject;

pub use self::{
    call::ReceiptCall,
    reader::ReceiptForm,
    receipt::{DeliveryReceipt, RECEIPTS, ReceiptCallFault, ReceiptReply, ReceiptSubject},
    signature::{CallSignature, ReceiptSecrets},
};
pub(super) use subject::SubjectForm;
