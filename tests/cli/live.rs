//! `notty import` says to whom texts are about to go that were written before it.

use serde_json::json;

use super::{arg, at, file, printed};
use crate::support::Setup;

#[tokio::test]
async fn import_warns_of_the_active_mailings_that_its_customers_match() {
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    node.mail("old", json!({ "tag_filter": "new" })).await;
    let at_start = json!({ "tag_filter": "new", "audience": "at_start" });
    node.mail("closed", at_start).await;
    for id in ["old", "closed"] {
        node.until_field(id, "status", json!("active")).await;
    }

    let list = "id,phone,tag\na,+79160000001,new\nb,+79160000002,other\n";
    let path = file(node.setup.dir(), "customers.csv", list);
    let first = at(&node, &["import", arg(&path)]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let warning = "warning: mailing old is active, and 1 of these customers match it now: they get its \
                   text. To stop that: POST /mailings/old/pause\n";
    assert_eq!(first.stderr, warning);

    // Nothing has changed, so nobody comes to match.
    let again = printed(at(&node, &["import", arg(&path)]));
    assert_eq!(again, "created 0, updated 2, rejected 0\n");
}
