//! Lists breaches.
use notty_style::{Workspace, docs, functions, rules};
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let w = Workspace::read(std::path::Path::new(".")).unwrap();
    let room = |p: &str| {
        args.iter().any(|a| p.starts_with(a.as_str()))
            && !p.contains("src/cli")
            && !p.contains("src/postman")
            && !p.contains("src/gateway")
            && !p.contains("src/desk")
            && !p.contains("src/moderation")
    };
    for (n, b) in [
        ("short", rules::short_docs(&w)),
        ("question", rules::question_docs(&w)),
        ("para", rules::functions_without_paragraphs(&w)),
        ("name", rules::shared_names(&w)),
    ] {
        for b in b {
            if room(&b.subject)
                || (n == "name" && args.iter().any(|a| b.message.contains(a.as_str())))
            {
                println!("{n} {}", b.message);
            }
        }
    }
    let _ = (
        functions::production as fn(_) -> _,
        docs::comments as fn(_) -> _,
    );
}
