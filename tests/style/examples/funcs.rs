//! Lists functions.
use notty_style::{Workspace, functions};
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let w = Workspace::read(std::path::Path::new(".")).unwrap();
    let mut v = Vec::new();
    for f in w.files() {
        let dir = f.path.rsplit_once('/').unwrap().0;
        if !args.iter().any(|a| dir == a) {
            continue;
        }
        for x in functions::production(f) {
            v.push((
                x.tokens,
                x.length(),
                x.blank,
                x.comments,
                f.path.clone(),
                x.name.clone(),
            ));
        }
    }
    v.sort();
    let (mut l, mut b, mut c) = (0, 0, 0);
    for x in &v {
        println!("{:?}", x);
        if x.1 >= 15 {
            l += x.1;
            b += x.2;
            c += x.3;
        }
    }
    println!(
        "{} functions, median {}, blank {:.1} inner {:.1}",
        v.len(),
        v[v.len() / 2].0,
        100.0 * b as f64 / l as f64,
        100.0 * c as f64 / l as f64
    );
}
