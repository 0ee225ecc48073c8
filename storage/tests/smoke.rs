//! One mailing from import to the last report.
use notty_storage::{model::*, query, records::Cursor, *};

fn apply(store: &mut Store, at: i64, action: Action) -> Outcome {
    let entry = Entry { at: Timestamp::from_millis(at), commands: vec![Command::new(action)] };
    store.apply(&entry, b"m").expect("applies").remove(0)
}

#[test]
fn a_mailing_goes_from_import_to_finished() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = Store::open(dir.path(), StoreOptions::default()).expect("opens");
    let rows = (0..2500)
        .map(|n| command::CustomerRow {
            id: CustomerId::parse(&format!("c-{n}")).expect("id"),
            name: "n".into(),
            phone: Phone::parse(&format!("+7000{n:07}")).expect("phone"),
            tag: 0,
            operator: 0,
            zone: None,
        })
        .collect::<Vec<_>>();
    for rows in rows.chunks(1000) {
        let put = command::PutCustomers {
            mode: command::PutMode::Upsert,
            tags: vec![("T".into(), "t".into())],
            operators: vec![("".into(), "".into())],
            zones: vec![],
            rows: rows.to_vec(),
        };
        apply(&mut store, 1, Action::PutCustomers(put)).expect("put");
    }
    let spec = MailingSpec {
        desc: String::new(),
        text: "x".into(),
        start: Timestamp::from_millis(10),
        end: Timestamp::from_millis(100_000),
        tag_filter: Filter::parse("t%").expect("f"),
        operator_filter: Filter::default(),
        phone_filter: Filter::default(),
        send_window: None,
    };
    let id = MailingId::parse("m").expect("id");
    apply(&mut store, 2, Action::CreateMailing { id: id.clone(), spec }).expect("create");
    let m = MailingNumber(1);
    apply(&mut store, 10, Action::StartMailing { mailing: m }).expect("start");
    let mut cursor = Cursor::default();
    loop {
        match apply(
            &mut store,
            10,
            Action::Expand { mailing: m, cursor, scan: 10_000, limit: 1000 },
        ) {
            Ok(Reply::Expanded { cursor: next, messages }) => {
                assert!(messages > 0);
                cursor = next;
            }
            Err(Rejection::NothingToDo) => break,
            other => panic!("{other:?}"),
        }
    }
    let Ok(Reply::Registered { epoch }) = apply(
        &mut store,
        11,
        Action::RegisterPostman { name: PostmanName::parse("p").expect("n"), nonce: 1 },
    ) else {
        panic!()
    };
    for n in 1..=4 {
        let lease = LeaseId { epoch, n };
        match apply(
            &mut store,
            12,
            Action::Grant(command::Grant {
                lease,
                mailing: m,
                limit: 1000,
                batches: 50,
                zones: None,
                ttl_ms: 30_000,
                gateway: 1,
            }),
        ) {
            Ok(Reply::Granted { runs, .. }) => {
                assert!(n < 4);
                let items = query::leases::messages(&store.view().read(), m, &runs).expect("m");
                assert_eq!(items.len(), if n == 3 { 500 } else { 1000 });
                apply(
                    &mut store,
                    13,
                    Action::Report(command::Report {
                        lease,
                        mailing: m,
                        gateway: 1,
                        results: vec![(SendResult::Done, runs)],
                    }),
                )
                .expect("report");
            }
            Err(Rejection::NothingToDo) => assert_eq!(n, 4),
            other => panic!("{other:?}"),
        }
    }
    let view = store.view();
    assert_eq!(query::stats::overall(&view.read()).expect("s").of(Status::Done), 2500);
    let mailing = query::mailings::get(&view.read(), &id).expect("q").expect("there");
    assert!(mailing.caught_up);
    apply(&mut store, 100_000, Action::EndMailing { mailing: m }).expect("end");
    assert_eq!(
        query::mailings::get(&view.read(), &id).expect("q").expect("there").status,
        MailingStatus::Finished
    );
    let page =
        query::messages::list(&view.read(), &query::messages::MessageFilter::default(), 0, 10)
            .expect("l");
    assert_eq!(page.items.len(), 10);
    let export = dir.path().join("x.snap");
    let mut e = store.begin_export(&export).expect("b");
    while e.copy_some().expect("c") {}
    let s = store.end_export(e).expect("e");
    assert_eq!(s.marker, b"m");
    let copy =
        import_snapshot(&export, &dir.path().join("copy"), StoreOptions::default()).expect("i");
    assert_eq!(copy.hash(), store.hash());
}
