//! The form of records: what survives, what may be missing, and what is refused.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;

/// A record as an older version knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Older {
    name: String,
    number: u32,
    parts: Vec<OlderPart>,
}

/// A struct within that record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct OlderPart {
    at: i64,
}

/// The same record as a newer version knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Newer {
    name: String,
    number: u32,
    parts: Vec<NewerPart>,
    note: Option<String>,
    kind: Kind,
    list: Vec<u16>,
}

/// The same part as a newer version knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct NewerPart {
    at: i64,
    weight: u64,
    label: String,
}

/// Forms with numbers; the last is newer than the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Kind {
    #[default]
    Plain,
    Fancy {
        colour: u8,
    },
    Whole(OlderPart),
}

/// The forms that an older version knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum OlderKind {
    #[default]
    Plain,
    Fancy {},
}

/// A record of this many parts, each of which claims a label of so many zeros.
fn of_claims(parts: u8, zeros: u16) -> Vec<u8> {
    let [low, high] = zeros.to_le_bytes();
    let part = [5, 0, 0, 251, low, high];
    let head = [FORMAT, 0, 0, parts];
    [&head[..], &part.repeat(parts.into())].concat()
}

#[test]
fn made_up_lengths_of_many_parts_take_no_more_memory_than_the_record_allows() {
    let one: Newer = decode(&of_claims(1, 60_000)).expect("reads");
    assert_eq!(one.parts[0].label.len(), 60_000);

    // Each could be right, all together cannot.
    assert!(decode::<Newer>(&of_claims(200, 60_000)).is_err());
    let many: Newer = decode(&of_claims(200, 300)).expect("reads");
    assert_eq!(decode::<Newer>(&encode(&many)).expect("reads"), many);
}

fn older() -> Older {
    Older {
        name: "n".repeat(300),
        number: 65_536,
        parts: vec![OlderPart { at: -7 }, OlderPart { at: 0 }],
    }
}

/// The record of `older` in the eyes of a newer version.
fn unchanged() -> Newer {
    let part = |at| NewerPart {
        at,
        ..NewerPart::default()
    };
    Newer {
        name: "n".repeat(300),
        number: 65_536,
        parts: vec![part(-7), part(0)],
        ..Newer::default()
    }
}

fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
    let back: T = decode(&encode(&value)).expect("decodes");
    assert_eq!(back, value);
}

#[test]
fn a_record_of_an_older_version_has_its_new_fields_as_zeros_and_is_written_as_before() {
    let bytes = encode(&older());
    assert_eq!(decode::<Newer>(&bytes).expect("decodes"), unchanged());
    assert_eq!(encode(&unchanged()), bytes, "both versions write the same");
    assert_eq!(decode::<Older>(&bytes).expect("decodes"), older());
}

#[test]
fn a_field_that_an_older_version_does_not_know_is_refused_by_name_or_passed_over() {
    let mut newer = unchanged();
    newer.parts[0].weight = 3;
    let bytes = encode(&newer);
    let refused = decode::<Older>(&bytes).expect_err("an unknown field");
    assert!(refused.is_newer() && !refused.is_damage(), "{refused}");
    assert!(refused.to_string().contains("OlderPart"), "{refused}");
    assert_eq!(decode_known::<Older>(&bytes).expect("decodes"), older());

    let mut newer = unchanged();
    newer.list.push(1);
    let refused = decode::<Older>(&encode(&newer)).expect_err("an unknown field");
    assert!(refused.is_newer(), "{refused}");
}

#[test]
fn a_form_that_an_older_version_does_not_know_is_refused_by_its_number() {
    let bytes = encode(&Kind::Whole(OlderPart { at: 5 }));
    let refused = decode::<OlderKind>(&bytes).expect_err("an unknown number");
    assert!(refused.is_newer() && !refused.is_damage(), "{refused}");
    assert!(refused.to_string().contains("number 2"), "{refused}");

    // A field within a known form is one like any other.
    let bytes = encode(&Kind::Fancy { colour: 1 });
    assert!(decode::<OlderKind>(&bytes).is_err_and(|error| error.is_newer()));
    let fancy: OlderKind = decode(&encode(&Kind::Fancy { colour: 0 })).expect("decodes");
    assert_eq!(fancy, OlderKind::Fancy {});
}

#[test]
fn values_of_all_kinds_survive_the_way_to_bytes_and_back() {
    survives((7u32, "текст".to_owned(), vec![Some(-1i64), None]));
    survives((i64::MIN, i64::MAX, u64::MAX, i16::MIN, -1i8, 'я', true));
    survives("ends with zeros\0\0\0".to_owned());
    survives([0u64, 0, 65_536]);
    survives(vec![0u8; 1_000]);
    survives(Some(unchanged()));
    survives((older(), older()));
    survives(vec![Kind::Plain, Kind::Fancy { colour: 0 }]);
    survives(std::collections::BTreeMap::from([
        (1u8, older()),
        (2, Older::default()),
    ]));
    survives(Ok::<u8, String>(0));
    survives(Older::default());
}

#[test]
fn zeros_at_the_end_take_no_room() {
    assert_eq!(encode(&Newer::default()), [FORMAT]);
    assert_eq!(encode(&vec![0u64; 1_000]).len(), 4);
    assert!(encode(&vec![0u8; 100_000]).len() < 40_000);
    survives(vec![0u8; 100_000]);
}

/// A struct that may end in very many zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Zeros {
    bytes: Vec<u8>,
}

#[test]
fn zeros_of_a_struct_are_read_back_or_never_written() {
    let zeros = |len| Zeros {
        bytes: vec![0; len],
    };
    survives(zeros(60_000));
    survives(vec![zeros(60_000); 2]);
    survives((zeros(60_000), vec![0u8; 60_000]));

    for refused in [70_000, 200_000] {
        let written = std::panic::catch_unwind(|| encode(&zeros(refused)));
        assert!(written.is_err(), "{refused}");
    }
}

#[test]
fn columns_are_read_as_they_were_written() {
    let numbers = vec![
        0,
        1,
        250,
        251,
        65_535,
        65_536,
        u64::from(u32::MAX),
        79_160_000_001,
    ];
    let bytes: Vec<u8> = (0..=255).collect();
    let small: Vec<u16> = vec![7, 300];
    let record = encode(&(numbers.clone(), bytes.clone(), small, numbers.clone(), 5u32));
    let mut columns = Columns::of(&record).expect("a record");
    columns.pass().expect("a column");
    assert_eq!(columns.bytes().expect("a column"), bytes);
    assert_eq!(columns.numbers().expect("a column"), [7, 300]);
    assert_eq!(columns.numbers().expect("a column"), numbers);
}

#[test]
fn columns_whose_zeros_were_not_written_are_whole() {
    let record = encode(&(vec![3u8, 0, 0], vec![0u32; 5]));
    let mut columns = Columns::of(&record).expect("a record");
    assert_eq!(columns.bytes().expect("a column"), vec![3, 0, 0]);
    assert_eq!(columns.numbers().expect("a column"), [0; 5]);
    assert_eq!(columns.numbers().expect("a column that is newer"), [0; 0]);

    let record = encode(&vec![0u8; 9]);
    let mut columns = Columns::of(&record).expect("a record");
    assert_eq!(columns.bytes().expect("a column"), vec![0; 9]);
}

#[test]
fn a_length_beyond_all_memory_is_refused_not_tried() {
    let mut bytes = vec![FORMAT, 253];
    bytes.extend_from_slice(&(1u64 << 46).to_le_bytes());
    for refused in [
        decode::<String>(&bytes).err(),
        decode::<Vec<u64>>(&bytes).err(),
        decode::<Vec<Older>>(&bytes).err(),
        Columns::of(&bytes)
            .and_then(|mut columns| columns.pass())
            .err(),
    ] {
        assert!(refused.is_some_and(|error| error.is_damage()));
    }
}

#[test]
fn a_struct_that_is_cut_is_damage() {
    let bytes = encode(&vec![older()]);
    // Before the fourth byte there is a count at most, and what it counts may be all zeros.
    for len in 4..bytes.len() {
        let cut = decode::<Vec<Older>>(&bytes[..len]);
        assert!(cut.is_err_and(|error| error.is_damage()), "{len}");
    }
}

#[test]
fn another_format_and_trailing_bytes_are_refused() {
    let mut bytes = encode(&1u8);
    bytes.push(0);
    assert!(matches!(
        decode::<u8>(&bytes),
        Err(Error::Trailing { bytes: 1 })
    ));
    bytes[0] = FORMAT - 1;
    let older = decode::<u8>(&bytes).expect_err("an older format");
    assert!(older.is_damage() && !older.is_newer(), "{older}");
    bytes[0] = FORMAT + 1;
    let newer = decode::<u8>(&bytes).expect_err("a newer format");
    assert!(newer.is_newer() && !newer.is_damage(), "{newer}");
}
