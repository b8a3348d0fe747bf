//! The shipped profiles: none with a mistake, every sample as it should be, all of them in the program and in the document.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

#[test]
fn every_sample_of_every_shipped_profile_becomes_what_it_says() {
    let (said, good) = test(&root().join("config/profiles"));
    assert!(good, "\n{said}");
    assert!(40 <= SHIPPED.len(), "only {}", SHIPPED.len());
    assert_eq!(shipped().all().count(), SHIPPED.len());
}

#[test]
fn the_program_holds_every_file_of_the_folder() {
    let files = files(&root().join("config/profiles")).expect("the folder");
    let names: BTreeSet<String> =
        files.iter().map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    let shipped: BTreeSet<String> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(shipped, names, "gateway/src/profiles/shipped.rs lists the files of config/profiles");
}

#[test]
fn the_document_lists_what_was_tested_on_what_evidence() {
    let document = std::fs::read_to_string(root().join("docs/devices.md")).expect("the document");
    assert!(
        document.contains(&list(&shipped())),
        "docs/devices.md must hold what `gridwarden profile list` prints"
    );
}

#[test]
fn a_models_name_in_two_profiles_is_a_mistake() {
    let profile = |name: &str| {
        let text = "title = \"x\"\nkind = \"other\"\nover = \"lorawan\"\nnames = [\"GS524N\"]\n[[evidence]]\nkind = \"paper\"\nsource = \"x\"\n[[frame]]\n[[sample]]\nname = \"x\"\nhex = \"\"\nexpect = []\n";
        compile(name, "x.toml", text).expect("good by itself")
    };
    let wrong = Profiles::build([profile("a"), profile("b")]).expect_err("two claim it").to_string();
    assert!(wrong.starts_with("b.toml:1:1: the model `GS524N` is claimed by the profile `a` too"), "{wrong}");
    assert!(Profiles::build([profile("a"), profile("a")]).is_ok(), "one with the same name replaces it");
}
