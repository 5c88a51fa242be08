//! Generates the types from the schemas again and compares them with those that are checked in.
//!
//! After a change of a schema, `UPDATE_GENERATED=1 cargo test -p proto` writes them; the change is then in the diff.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::Path;
use std::{env, fs};

/// Folder, schema and package of all that is generated.
const SCHEMAS: [(&str, &str, &str); 3] = [
    ("client", "webpubsub.proto", "azure.webpubsub"),
    ("cluster", "envelope.proto", "hubbub.cluster"),
    ("cluster", "session.proto", "hubbub.cluster.session"),
];

#[test]
fn the_generated_types_are_those_of_the_schemas() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, schema, package) in SCHEMAS {
        let generated = generate(&root.join(folder), schema, package);
        let file = root.join("src/gen").join(format!("{package}.rs"));
        if env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(&file, &generated).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        let place = kept.lines().zip(generated.lines()).position(|(kept, generated)| kept != generated);
        assert!(
            kept == generated,
            "src/gen/{package}.rs is not what {folder}/{schema} leads to, from line {} on; \
             run `UPDATE_GENERATED=1 cargo test -p proto`",
            place.unwrap_or_default() + 1,
        );
    }
}

fn generate(folder: &Path, schema: &str, package: &str) -> String {
    let descriptors = protox::compile([schema], [folder]).unwrap_or_else(|error| panic!("{error}"));
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder.file_name().unwrap());
    fs::create_dir_all(&output).unwrap();
    prost_build::Config::new()
        .out_dir(&output)
        // Maps keep an order, so that the same message always has the same bytes.
        .btree_map(["."])
        .bytes(["."])
        .compile_fds(descriptors)
        .unwrap();
    fs::read_to_string(output.join(format!("{package}.rs"))).unwrap()
}
