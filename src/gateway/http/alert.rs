//! TLS alerts that prove that a request was not read, although it was written.
//!
//! In TLS 1.3 the client's handshake is over before the server has looked at the client's certificate and
//! at its `Finished` (RFC 8446, section 2). A server that refuses them says so by a fatal alert, which the
//! client meets at its first read, after the request. Records are handled in order, so that server never
//! came to the request. The proof holds only for alerts that a handshake alone can produce, and only
//! while the server has sent nothing else: later alerts say nothing of what was read before. A session
//! ticket is such a sign too, although no byte of HTTP comes with it. A server that asks for a certificate
//! sends it once it has taken the certificate (RFC 8446, section 4.6.1): from then on it reads requests,
//! and may still refuse the client later, after a check that took longer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rustls::{AlertDescription, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::{
    connect::ByteStream,
    flagged::{Flag, Flagged},
};

/// True if only a handshake of TLS 1.3 can end in this alert (RFC 8446, section 6.2). A client that does
/// not offer authentication after the handshake, as this one, cannot be asked for a certificate later.
fn is_of_handshake(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;

    // Left out on purpose: alerts for records that cannot be read, and for faults of the server.
    // They may follow a request that was read.
    matches!(
        alert,
        Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired
    )
}

/// True if an error of a read is such an alert.
fn refuses_handshake(error: &io::Error) -> bool {
    received_alert(error).is_some_and(is_of_handshake)
}

/// The alert of the far end that an error came from, if any.
fn received_alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// True if bytes are a fatal alert in clear, the answer of a TLS server to what is no TLS (RFC 8446,
/// sections 5.1 and 6). An HTTP answer begins with `HTTP/`.
pub(super) fn is_alert_record(bytes: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    matches!(bytes, [ALERT, 3, 0..=4, 0, 2, FATAL, description] if is_known(*description))
}

/// True for an alert with which servers answer a first record that they cannot read.
fn is_known(description: u8) -> bool {
    use AlertDescription as Alert;
    matches!(
        AlertDescription::from(description),
        Alert::UnexpectedMessage
            | Alert::BadRecordMac
            | Alert::RecordOverflow
            | Alert::HandshakeFailure
            | Alert::IllegalParameter
            | Alert::DecodeError
            | Alert::ProtocolVersion
            | Alert::InternalError
    )
}

/// A TLS stream that notes a late refusal of its handshake.
pub(super) struct AlertWatch {
    stream: TlsStream<Flagged>,
    flag: Flag,
    /// True while nothing was read and the version permits the proof.
    may_be_refused: bool,
}

impl AlertWatch {
    /// Watches a stream whose handshake is over for the client.
    pub(super) fn new(stream: TlsStream<Flagged>, flag: Flag) -> Self {
        // In TLS 1.2 the server ends the handshake, and may ask for a certificate after the request.
        let version = stream.get_ref().1.protocol_version();
        Self {
            stream,
            flag,
            may_be_refused: version == Some(ProtocolVersion::TLSv1_3),
        }
    }

    fn note(&mut self, read: &io::Result<()>, bytes: usize) {
        match read {
            Ok(()) if bytes > 0 => self.may_be_refused = false,
            Err(error) if refuses_handshake(error) && !self.has_ticket() => {
                self.flag.set_unread();
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// True if the server has sent a session ticket. Tickets are counted before the alert that follows.
    fn has_ticket(&self) -> bool {
        self.stream.get_ref().1.tls13_tickets_received() > 0
    }
}

impl AsyncRead for AlertWatch {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(ended) = &read
            && self.may_be_refused
        {
            self.note(ended, buf.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for AlertWatch {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ByteStream for AlertWatch {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_in_clear_is_known_and_nothing_that_only_looks_like_tls() {
        for (version, description) in [(1, 10), (3, 70), (3, 50), (1, 22), (3, 40)] {
            assert!(is_alert_record(&[21, 3, version, 0, 2, 2, description]));
        }
        // A warning, a handshake, a close, a longer record, plain text.
        for other in [
            &[21, 3, 3, 0, 2, 1, 10],
            &[22, 3, 1, 0, 2, 2, 10],
            &[21, 3, 3, 0, 2, 2, 0],
            &[21, 3, 3, 0, 3, 2, 10],
            b"HTTP/1.",
        ] {
            assert!(!is_alert_record(other), "{other:?}");
        }
    }

    #[test]
    fn an_alert_that_may_follow_a_request_proves_nothing() {
        let received = |alert| {
            let error = rustls::Error::AlertReceived(alert);
            refuses_handshake(&io::Error::new(io::ErrorKind::InvalidData, error))
        };
        assert!(received(AlertDescription::CertificateRequired));
        assert!(received(AlertDescription::UnknownCA));
        for alert in [
            AlertDescription::InternalError,
            AlertDescription::BadRecordMac,
            AlertDescription::UnexpectedMessage,
            AlertDescription::UserCanceled,
            AlertDescription::CloseNotify,
        ] {
            assert!(!received(alert), "{alert:?}");
        }
        assert!(!refuses_handshake(&io::ErrorKind::ConnectionReset.into()));
    }
}
