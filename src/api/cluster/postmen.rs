//! The standalone postmen, as `GET /cluster` shows them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{parts::Api, times::time_text},
    desk::PostmanSight,
};

/// A standalone postman (`notty postman`).
#[derive(Serialize, ToSchema)]
pub(super) struct PostmanBody {
    /// Name of the postman.
    #[schema(example = "postman-1")]
    name: String,
    /// Time of its last call of a node. One that works calls several times a second.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00.012Z")]
    last_seen: String,
    /// Its gateway, compared with that of the node that was asked: `same` or `other` (another URL or
    /// account); null while that is not known, and if the node does not send.
    #[schema(example = "same")]
    gateway: Option<String>,
}

/// All postmen that the cluster has heard of lately.
pub(super) async fn all(api: &Api) -> Vec<PostmanBody> {
    let sights = api.desk.postmen().await;
    sights.into_iter().map(|sight| body(api, sight)).collect()
}

fn body(api: &Api, sight: PostmanSight) -> PostmanBody {
    let ago_ms = i64::try_from(sight.ago_ms).unwrap_or(i64::MAX);
    let is_own = sight
        .gateway
        .and_then(|gateway| api.desk.is_own_gateway(gateway));
    let word = |is_own| if is_own { "same" } else { "other" };
    PostmanBody {
        name: sight.name,
        last_seen: time_text(api.clock.wall().plus_millis(-ago_ms)),
        gateway: is_own.map(|is_own| word(is_own).to_owned()),
    }
}
