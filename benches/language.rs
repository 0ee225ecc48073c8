//! The language check, over texts that pass: every rule is tried on each of their words.

use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use notty::moderation::Moderation;

const RUSSIAN: &str = "Здравствуйте! До воскресенья скидка 20 % на всё, кроме хлеба: ждём вас в \
                       магазине на Садовой, 7, с 9 до 21. Подробности на сайте. ";
const ENGLISH: &str = "Hello! Until Sunday everything but bread is 20 % off: come and see us at \
                       7 Garden Street, from 9 to 21. More about it on our pages. ";

fn language(criterion: &mut Criterion) {
    let moderation = Moderation::new(&[]);
    let mut group = criterion.benchmark_group("language");
    for (name, text) in [("russian", RUSSIAN), ("english", ENGLISH)] {
        group.bench_function(name, |bench| {
            bench.iter(|| moderation.find(black_box(text)))
        });
    }
    let long: String = RUSSIAN.chars().cycle().take(1_600).collect();
    group.bench_function("longest", |bench| {
        bench.iter(|| moderation.find(black_box(&long)))
    });
    group.finish();
}

criterion_group!(benches, language);
