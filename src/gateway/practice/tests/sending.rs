//! A sender of messages: the requests of a profile, or of notty's own protocol, to a practice gateway.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use notty_storage::{
    Timestamp,
    model::{MessageId, Phone},
};

use super::super::{Behaviour, Practice, PracticeProvider, PracticeReceipts};
use crate::{
    config::Secret,
    gateway::{
        Envelope,
        profile::{GatewayAccount, MessageRequest, Profile, built_in},
    },
};

/// Far longer than anything takes here.
const SOON: Duration = Duration::from_secs(60);
/// Between two looks at counts.
const LOOK: Duration = Duration::from_millis(5);

/// A practice gateway that runs, and its address.
pub(super) struct Running {
    pub(super) practice: Arc<Practice>,
    pub(super) address: SocketAddr,
}

/// The message number n, counted from 0.
pub(super) fn envelope(n: u64) -> Envelope<'static> {
    Envelope {
        id: MessageId::from_u64((7 << 32) + n).expect("an id"),
        phone: Phone::parse(&format!("+7916{:07}", n + 1)).expect("a phone number"),
        text: "Скидка 20%",
        ends_at: Timestamp::default(),
        receipt_url: "",
    }
}

/// An account of a profile that has everything.
pub(super) fn account(profile: &Profile) -> GatewayAccount {
    let secret = |name: &str| (name.to_owned(), Secret::from(format!("my-{name}").as_str()));
    GatewayAccount {
        sender: Some("MYSHOP".to_owned()),
        secrets: profile.secrets().into_iter().map(secret).collect(),
        has_receipts: true,
        has_validity: true,
        ..GatewayAccount::default()
    }
}

impl Running {
    /// A gateway in the place of a built-in provider. Receipts without a URL go to `receipts_to`.
    pub(super) fn of(profile: &str, receipts_to: SocketAddr, behaviour: Behaviour) -> Self {
        let found = built_in::find(profile).expect("a profile");
        let is_wide = found.receipts().is_some_and(|form| form.names_messages());
        let provider = PracticeProvider::new(profile, found, Default::default());
        let mut provider = provider.expect("a provider");
        if is_wide {
            let url = format!("http://{receipts_to}/wide?k=all");
            provider = provider.with_receipts_to(&url).expect("a URL");
        }
        Self::serving(Practice::of(provider, behaviour).expect("a behaviour"))
    }

    /// A gateway that speaks notty's own protocol.
    pub(super) fn own(behaviour: Behaviour) -> Self {
        Self::serving(Practice::new(String::new(), behaviour))
    }

    fn serving(practice: Arc<Practice>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = practice.spawn(listener).expect("a thread");
        Self { practice, address }
    }

    /// Sends a message as a profile has it. Returns its answer, if there is one.
    pub(super) async fn send(
        &self,
        profile: &Profile,
        n: u64,
        receipts_to: SocketAddr,
    ) -> Option<(u16, String)> {
        let bound = profile.bind(&account(profile)).expect("an account");
        let url = format!("http://{receipts_to}/receipts/g/{n}?k=Zm9v");
        let request = bound.request(&MessageRequest {
            envelope: Envelope {
                receipt_url: &url,
                ..envelope(n)
            },
            valid_minutes: 90,
        });
        self.answer(request).await
    }

    /// Sends a message in notty's own protocol.
    pub(super) async fn send_own(&self, n: u64, receipts_to: SocketAddr) -> Option<(u16, String)> {
        let Envelope { id, phone, .. } = envelope(n);
        let body = format!(r#"{{"id":{id},"phone":{},"text":"a"}}"#, phone.digits());
        let request = Request::post(format!("/v1/send/{id}"))
            .header(
                "Notty-Receipt-Url",
                format!("http://{receipts_to}/receipts/g/{n}?k=Zm9v"),
            )
            .body(Bytes::from(body));
        self.answer(request.expect("a request")).await
    }

    async fn answer(&self, mut request: Request<Bytes>) -> Option<(u16, String)> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let uri = format!("http://{}{}", self.address, request.uri());
        *request.uri_mut() = uri.parse().expect("an address");
        let client = reqwest::Client::builder().no_proxy().timeout(SOON).build();
        let request = reqwest::Request::try_from(request).expect("a request");
        let answer = client.expect("a client").execute(request).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// The counts of receipts once they are as wanted.
    pub(super) async fn receipts(
        &self,
        fits: impl Fn(&PracticeReceipts) -> bool,
    ) -> PracticeReceipts {
        let counts = || self.practice.tally().receipts.unwrap_or_default();
        let fitting = async {
            while !fits(&counts()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let came = tokio::time::timeout(SOON, fitting).await;
        assert!(came.is_ok(), "{:?}", counts());
        counts()
    }
}
