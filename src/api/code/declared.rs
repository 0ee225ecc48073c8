//! The declarations of all codes: name, status, meaning, and the detail of an example.
//!
//! This is a table to read and to extend. Names and statuses are part of the API and stay as they are;
//! meanings and details stand in the OpenAPI document.

use axum::http::StatusCode;

use super::CodeFacts;

codes! {
    // Bodies as a whole.
    InvalidJson = "invalid_json", BAD_REQUEST at "" {
        "the body is not one JSON object",
        "an object is needed"
    }
    EmptyBody = "empty_body", BAD_REQUEST at "" {
        "there is no body",
        "a JSON body is needed"
    }
    BrokenBody = "broken_body", BAD_REQUEST {
        "the body broke off",
        "the body broke off"
    }
    InvalidHeader = "invalid_header", BAD_REQUEST at "line 1" {
        "the first row of a CSV file does not name the columns as it should",
        "the column `phone` or `id` is needed"
    }

    // Fields.
    Missing = "missing", BAD_REQUEST at "phone" {
        "a field that is needed is not there",
        "this field is needed"
    }
    WrongType = "wrong_type", BAD_REQUEST at "name" {
        "a field has a value of another type",
        "a string is needed"
    }
    UnknownField = "unknown_field", BAD_REQUEST at "shoe" {
        "there is no such field",
        "there is no such field"
    }
    InvalidId = "invalid_id", BAD_REQUEST at "id" {
        "an id has other characters than letters, digits and `-_.@+`, or more than 64",
        "an id has 1 to 64 characters: letters and digits of any script, and `-`, `_`, `.`, `@`, `+`"
    }
    IdMismatch = "id_mismatch", BAD_REQUEST at "id" {
        "the id in the body is not the one in the path",
        "differs from the id in the path"
    }
    ReadOnly = "read_only", BAD_REQUEST at "status" {
        "a read-only field has another value than the present one",
        "this field is read-only, and is \"active\" now; leave it out, or send that"
    }
    TooLong = "too_long", BAD_REQUEST at "name" {
        "a text is too long",
        "a name has at most 200 characters"
    }
    ControlCharacter = "control_character", BAD_REQUEST at "name" {
        "a text has a control character (a mailing's text may have line feeds), or one that turns the \
         direction of writing",
        "a name has no control characters, tabs, line ends, or characters that turn the direction of \
         writing"
    }
    InvalidPhone = "invalid_phone", BAD_REQUEST at "phone" {
        "the phone is not `+` and 10 to 15 digits",
        "a phone number is `+` and 10 to 15 digits, like +79161112233"
    }
    InvalidTimezone = "invalid_timezone", BAD_REQUEST at "timezone" {
        "there is no such time zone",
        "no such time zone; an IANA name is needed, like Europe/Moscow"
    }
    EmptyText = "empty_text", BAD_REQUEST at "text" {
        "a mailing's text, or another text that is not empty, has no visible character",
        "a text has at least one visible character"
    }
    ExplicitLanguage = "explicit_language", BAD_REQUEST at "text" {
        "the text has explicit language",
        "the text has explicit language: `…`"
    }
    InvalidFilter = "invalid_filter", BAD_REQUEST at "tag" {
        "a filter is too long, has a control character or ends in a single `\\`",
        "a filter does not end in a single `\\`: it escapes the character after it"
    }
    InvalidTime = "invalid_time", BAD_REQUEST at "start" {
        "a time is not RFC 3339 with an offset",
        "a time with its offset is needed (RFC 3339), like 2026-11-23T10:00:00Z, and not after \
         9999-12-31T23:59:59.999Z"
    }
    EndBeforeStart = "end_before_start", BAD_REQUEST at "end" {
        "the end is not after the start",
        "the end must be after the start"
    }
    EndPassed = "end_passed", BAD_REQUEST at "end" {
        "the end lies in the past",
        "the end lies in the past"
    }
    InvalidAudience = "invalid_audience", BAD_REQUEST at "audience" {
        "`audience` is neither `until_end` nor `at_start`",
        "until_end or at_start is needed"
    }
    InvalidSendWindow = "invalid_send_window", BAD_REQUEST at "send_window" {
        "the send window is not two different times of the day",
        "a send window is two different times of the day, like 09:00 and 21:00"
    }
    InvalidName = "invalid_name", BAD_REQUEST at "name" {
        "the name has other characters than letters, digits, `-`, `_` and `.`, or more than 64",
        "a postman's name has 1 to 64 letters, digits, `-`, `_` and `.`"
    }
    InvalidAddress = "invalid_address", BAD_REQUEST at "peer" {
        "the address is not a host and a port",
        "a host and a port, like 10.0.0.4:7080"
    }
    InvalidUrl = "invalid_url", BAD_REQUEST at "api" {
        "the URL is not one of HTTP or HTTPS",
        "a URL, like http://10.0.0.4:8080"
    }

    // Receipts.
    InvalidReceipt = "invalid_receipt", BAD_REQUEST at "status" {
        "the request names no state of a message",
        "`status` is missing: sent, delivered or undelivered is needed"
    }
    InvalidSignature = "invalid_signature", FORBIDDEN {
        "the address is not one that the cluster has made for this message",
        "`k` is not the signature of this message's address"
    }
    ReceiptRefused = "receipt_refused", CONFLICT {
        "the receipt cannot be true: no gateway can have the message",
        "it is certain that no gateway took the message: nothing is changed"
    }

    // Parameters and headers.
    UnknownParameter = "unknown_parameter", BAD_REQUEST at "shoe" {
        "there is no such parameter, or it is given twice",
        "there is no such parameter, or it is given twice"
    }
    InvalidUtf8 = "invalid_utf8", BAD_REQUEST at "tag" {
        "a parameter is not UTF-8",
        "the parameter is not UTF-8"
    }
    InvalidLimit = "invalid_limit", BAD_REQUEST at "limit" {
        "`limit` is not a number from 1 to 1,000",
        "a number from 1 to 1000 is needed"
    }
    InvalidAfter = "invalid_after", BAD_REQUEST at "after" {
        "`after` is not the `next` of a page",
        "the `next` of the page before is needed"
    }
    InvalidStatus = "invalid_status", BAD_REQUEST at "status" {
        "there is no such status",
        "created, sending, done, failed, invalid, expired, cancelled or unconfirmed is needed"
    }
    InvalidDelivery = "invalid_delivery", BAD_REQUEST at "delivery" {
        "there is no such delivery",
        "delivered or undelivered is needed"
    }
    InvalidDate = "invalid_date", BAD_REQUEST at "from" {
        "`from` or `to` is not a date",
        "a date is needed, like 2026-11-23"
    }
    ToBeforeFrom = "to_before_from", BAD_REQUEST at "to" {
        "`to` lies before `from`",
        "the last day lies before the first"
    }
    InvalidKey = "invalid_key", BAD_REQUEST at "Idempotency-Key" {
        "`Idempotency-Key` is empty, too long, or has invisible characters",
        "an Idempotency-Key has 1 to 255 visible characters"
    }
    InvalidIndex = "invalid_index", BAD_REQUEST at "Notty-Min-Index" {
        "`Notty-Min-Index` is not a position",
        "the Notty-Index of an answer is needed"
    }
    InvalidConsistency = "invalid_consistency", BAD_REQUEST at "consistency" {
        "`consistency` is not `linearizable`",
        "the only consistency that can be asked for is `linearizable`"
    }

    // Authorization.
    Unauthorized = "unauthorized", UNAUTHORIZED {
        "tokens are configured, and the request does not have a valid one",
        "a token is needed: Authorization: Bearer {token}; the command line takes it from \
         NOTTY_TOKEN"
    }
    Forbidden = "forbidden", FORBIDDEN {
        "the token's role does not allow this",
        "the role of token `wall` does not allow this: it is reader, and operator is needed"
    }
    ForbiddenOrigin = "forbidden_origin", FORBIDDEN {
        "no tokens are configured, and the request names another host than this machine, or was \
         sent by a web page of another origin",
        "without api.tokens this API answers to 127.0.0.1, [::1] and localhost only, and the \
         request's Host is another; use one of these, or configure api.tokens"
    }

    // Things that exist, or do not.
    NotFound = "not_found", NOT_FOUND {
        "nothing is there with this id",
        "no customer is there with this id"
    }
    UnknownRoute = "unknown_route", NOT_FOUND {
        "there is no such route",
        "there is no such route; /docs lists all of them"
    }
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED {
        "the route has no such method; the header `Allow` lists those it has",
        "this route has no such method; /docs lists all of them"
    }
    CustomerExists = "customer_exists", CONFLICT {
        "a customer with this id exists",
        "a customer with this id exists"
    }
    MailingExists = "mailing_exists", CONFLICT {
        "a mailing with this id exists",
        "a mailing with this id exists"
    }
    TooManyMailings = "too_many_mailings", CONFLICT {
        "10,000 mailings are open",
        "10000 mailings are open: finish, cancel or delete some first"
    }
    NoNumbersLeft = "no_numbers_left", CONFLICT {
        "there are no message ids left for another mailing",
        "no numbers are left for mailings, and so no message ids: begin with an empty data \
         directory"
    }
    MailingStarted = "mailing_started", CONFLICT {
        "the mailing has started, and a field was changed that cannot change after that",
        "the mailing has started: text cannot change any more"
    }
    MailingOver = "mailing_over", CONFLICT {
        "the mailing is finished or cancelled",
        "the mailing is finished: nothing about its sending can change any more"
    }
    DuplicatesNotAccepted = "duplicates_not_accepted", CONFLICT {
        "the mailing comes from a backup, and `accept_duplicates` is not true",
        "the mailing comes from a backup, and whom it reached after that is not known: to send to \
         those that it knows no message of, resume it with accept_duplicates: true"
    }
    NodeExists = "node_exists", CONFLICT {
        "another node has this name, or had it when it was added",
        "`notty-3` is a node of the cluster already, with another disk or at another address; if \
         its disk is lost, remove it first: notty cluster remove notty-3"
    }
    NodeUnreachable = "node_unreachable", CONFLICT {
        "the node does not answer, or another node answers at its address",
        "the node cannot be taken in: at 10.0.0.4:7080 is `notty-4`, not `notty-3`"
    }
    NodeNotEmpty = "node_not_empty", CONFLICT {
        "the node belongs to a cluster already",
        "`notty-3` belongs to a cluster already; only a node with an empty data directory can be \
         taken in: stop it, empty its data directory, start it again"
    }
    LastVoter = "last_voter", CONFLICT {
        "the node is the last voter",
        "`notty-3` is the last node that votes: without it there is no cluster"
    }
    NoMajority = "no_majority", CONFLICT {
        "too few of the nodes left can be reached",
        "without `notty-3` 2 would be left that vote, and only 1 of them can be reached: no \
         majority. Bring `notty-2` back, or remove it first"
    }
    NotTransferred = "not_transferred", CONFLICT {
        "there is no node to hand over to, or it was not elected in time",
        "leadership was not handed over: `notty-1` was not elected in time"
    }
    Refused = "refused", CONFLICT {
        "the change breaks a rule of the cluster's state",
        "out of bounds: 256 nodes are admitted"
    }

    // Requests that are not taken.
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT {
        "the body does not come in time",
        "the body did not come in time"
    }
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE {
        "the body has more than 64 KiB",
        "a body of this route has at most 65536 bytes"
    }
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE {
        "the route does not take this `Content-Type`",
        "this route takes application/json"
    }
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY {
        "the `Idempotency-Key` was used with another request before",
        "the Idempotency-Key was used with another request"
    }

    // Things that the node cannot do, or not now.
    StorageFault = "storage_fault", INTERNAL_SERVER_ERROR {
        "the node cannot read its state",
        "this node could not read its state; its log says why"
    }
    UnexpectedReply = "unexpected_reply", INTERNAL_SERVER_ERROR {
        "the write was executed, but the leader's reply to it cannot be read: it runs another version",
        "the leader's reply is of another type than the command's: do all nodes run one version?"
    }
    NoLeader = "no_leader", SERVICE_UNAVAILABLE {
        "the cluster has no leader at the moment, and a write or `consistency=linearizable` needs \
         one",
        "the cluster has no leader at the moment"
    }
    Overloaded = "overloaded", SERVICE_UNAVAILABLE {
        "too many writes wait already",
        "too many writes wait already"
    }
    Stopping = "stopping", SERVICE_UNAVAILABLE {
        "the node is shutting down, and a write or `consistency=linearizable` needs it",
        "the node is stopping"
    }
    NotReady = "not_ready", SERVICE_UNAVAILABLE {
        "the node waits for its cluster, has no leader, or still applies what was committed; `detail` names \
         what is missing",
        "the node has started and does not know yet what was committed before: its state stands at 10 of 25"
    }
    TooManyConnections = "too_many_connections", SERVICE_UNAVAILABLE {
        "all connections to the node's API are in use; health checks are still answered",
        "this node has as many connections to its API as it may have; close those that are not \
         needed, or try again"
    }
    IndexNotReached = "index_not_reached", SERVICE_UNAVAILABLE {
        "the node has not applied the position of `Notty-Min-Index` in time",
        "this node has not applied position 1234 yet"
    }
    CustomerBusy = "customer_busy", SERVICE_UNAVAILABLE {
        "messages of customers that were just deleted are still being cancelled",
        "the customer was just deleted, its messages are being cancelled; try again"
    }
    TooManyKeys = "too_many_keys", SERVICE_UNAVAILABLE {
        "the caller has used its share of the 100,000 `Idempotency-Key`s that are remembered for 24 \
         hours (half of those that other callers leave); pause, resume and cancel are executed even then",
        "too many Idempotency-Keys of this caller's last 24 hours are remembered; try again later, \
         or without a key"
    }
    ChangeUnderWay = "change_under_way", SERVICE_UNAVAILABLE {
        "another change of the cluster is under way",
        "another change of the cluster is under way; ask again"
    }
    Busy = "busy", SERVICE_UNAVAILABLE {
        "two other backups are being made",
        "as many backups as may be are being made; try again"
    }
    BackupFailed = "backup_failed", SERVICE_UNAVAILABLE {
        "the copy could not be made, most often because the disk has too little room",
        "the node could not make the copy, which needs as much room on its disk as the state \
         takes; its log says why"
    }
    OutcomeUnknown = "outcome_unknown", GATEWAY_TIMEOUT {
        "whether it was done is not known; a repeat with the same `Idempotency-Key` is safe, and \
         so is one of a PUT or DELETE",
        "whether it was executed is not known; repeating it with the same Idempotency-Key is safe"
    }

    // Replies to commands that no request proposes: no route gives these.
    NotNow = "not_now", CONFLICT {
        "the time for it has not come, or has passed",
        "not at this time"
    }
    CursorMoved = "cursor_moved", CONFLICT {
        "the state differs from the proposer's view",
        "the mailing stands elsewhere"
    }
    NothingToDo = "nothing_to_do", CONFLICT {
        "nothing is left to do",
        "nothing to do"
    }
    Exhausted = "exhausted", CONFLICT {
        "the mailing has no positions left",
        "the mailing has no message numbers left"
    }
    PostmanClosed = "postman_closed", CONFLICT {
        "the postman was closed by a newer one of its name, or is unknown",
        "the postman is closed: a newer one of its name has registered, or it is unknown"
    }
    PostmanForgotten = "postman_forgotten", CONFLICT {
        "the postman had nothing to send for long, and many others have registered since",
        "the postman is not known any more"
    }
    LeaseClosed = "lease_closed", CONFLICT {
        "the lease is closed",
        "the lease is closed"
    }
    LeaseGap = "lease_gap", CONFLICT {
        "the lease does not follow the postman's last one",
        "the lease does not follow the postman's last, which is 7"
    }
    TooManyLeases = "too_many_leases", CONFLICT {
        "the postman has too many leases open",
        "the postman has too many leases open"
    }
    Forgotten = "forgotten", CONFLICT {
        "the repeat is older than what is remembered",
        "too old a repeat: whether it was executed is no longer known"
    }
    OutOfBounds = "out_of_bounds", BAD_REQUEST {
        "the command breaks a bound",
        "out of bounds: 256 rows"
    }
    AmbiguousPhone = "ambiguous_phone", CONFLICT {
        "several customers have the phone of a row without an id",
        "several customers have this phone: give the id of the one that is meant"
    }
    NodeRemoved = "node_removed", CONFLICT {
        "the node was removed from the cluster before",
        "this node was removed from the cluster before; it can come back with an empty data \
         directory"
    }
    LevelTooLow = "level_too_low", CONFLICT {
        "a node of the cluster runs a version that does not know this yet",
        "this needs level 3, and the cluster stands at level 2: upgrade all nodes first"
    }
}
