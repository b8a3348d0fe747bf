//! Which rules select which devices, and what a book says of rules it cannot use.

use super::*;

fn rule(name: &str, selector: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\nclass = \"trouble\"\ntext = \"\"\n{selector}\nstate = {{ flag = \"tamper\" }}\n"
    )
}

/// Devices that a rule with this selector looks at.
fn selected(selector: &str) -> Vec<u32> {
    let registry = Registry::build(rows());
    let book = book(&rule("only", selector), &registry);
    registry
        .devices()
        .iter()
        .filter(|device| !book.watching(device.ix, Metric::TAMPER).is_empty())
        .map(|device| device.ix.0)
        .collect()
}

#[test]
fn selectors_narrow_each_other() {
    let smoke = r#"kinds = ["smoke_detector"]"#;
    for (selector, expected) in [
        (smoke.to_owned(), vec![0, 1, 6]),
        (format!("{smoke}\ncells = [\"community\"]"), vec![0, 1]),
        (format!("{smoke}\ncells = [\"b1\", \"nobody\"]"), vec![0, 6]),
        (format!("{smoke}\ncell_kinds = [\"dense_crowd\"]"), vec![1]),
        (format!("{smoke}\ncell_kinds = [\"street\"]"), vec![0, 1]),
        (format!("{smoke}\ndevices = [\"hall\", \"hydrant\"]"), vec![1]),
        (format!("{smoke}\ncells = [\"b1\"]\ndevices = [\"hall\"]"), vec![]),
        (r#"kinds = ["smoke_detector", "hydrant"]"#.to_owned(), vec![0, 1, 2, 6]),
        ("kinds = []".to_owned(), vec![0, 1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(selected(&selector), expected, "{selector}");
    }
}

#[test]
fn a_retired_device_is_not_looked_at() {
    let mut rows = rows();
    rows.devices[0].retired = true;
    let registry = Registry::build(rows);
    let book = book(RULES, &registry);
    assert!(book.watching(KITCHEN, Metric::SMOKE).is_empty());
    assert_eq!(book.silent_after_s(KITCHEN), None);
    assert_eq!(book.watching(HALL, Metric::SMOKE).len(), 1);
}

#[test]
fn devices_with_the_same_rules_share_a_profile() {
    let registry = Registry::build(rows());
    let book = book(RULES, &registry);
    assert_eq!(book.profiles_count(), 6, "retired, nothing of its own, smoke, hydrant, call point, pump");
}

#[test]
fn names_what_it_cannot_use_and_uses_the_rest() {
    let registry = Registry::build(rows());
    let base = "kinds = [\"smoke_detector\"]";
    for (rules, problem) in [
        (rule("a", &format!("{base}\ncells = [\"b9\"]")), "`a`: there is no cell `b9`"),
        (rule("a", &format!("{base}\ndevices = [\"b9\"]")), "`a`: there is no device `b9`"),
        (rule("a", &format!("{base}\nladder = \"x\"")), "`a`: there is no ladder `x`"),
        (rule("a", base) + &rule("a", base), "`a`: two rules have this name; only the first is used"),
        (rule("a", base).replace("tamper", "smok"), "`a`: there is no metric `smok`"),
        (rule("a", base).replace("tamper", "battery"), "`a`: `battery` is a number, not a flag"),
        (
            rule("a", base).replace("state = { flag = \"tamper\" }", ""),
            "`a`: give exactly one of `state`, `threshold`, `rate`, `presence` and `stillness`",
        ),
        (
            rule("a", base).replace("state = { flag = \"tamper\" }", "threshold = { metric = \"battery\" }"),
            "`a`: give exactly one of `above` and `below`",
        ),
        (
            rule("a", base)
                .replace("state = { flag = \"tamper\" }", "rate = { metric = \"battery\", within_s = 1 }"),
            "`a`: give exactly one of `rises_by` and `falls_by`",
        ),
        (
            "[[ladder]]\nname = \"l\"\nstep = [{ after_s = 0, who = [\"boss\"], channels = [] }]".to_owned(),
            "`l`: `boss` is nobody; write `responsible`, a role such as `lead` or `worker`, `up:1`, `team:<name>`, `nearest` or `person:<id>`",
        ),
        (
            "[[ladder]]\nname = \"l\"\nthen = \"m\"\nstep = []".to_owned(),
            "`l`: goes on with `m`, which does not exist",
        ),
        (
            "[[ladder]]\nname = \"l\"\nthen = \"m\"\nstep = []\n[[ladder]]\nname = \"m\"\nthen = \"l\"\nstep = []"
                .to_owned(),
            "`l`: goes on with `m`, which leads back here; it ends here instead",
        ),
        ("[[ladder]]\nname = \"l\"\nthen = \"l\"\nstep = []".to_owned(), "`l`: goes on with `l`, which leads back here; it ends here instead"),
    ] {
        let (_, problems) = RuleBook::compile(&toml::from_str(&rules).unwrap(), &registry);
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [problem], "{rules}");
    }
}

/// A list of nothing but unknown names selects nothing, not everything.
#[test]
fn an_unknown_cell_does_not_widen_a_rule() {
    let registry = Registry::build(rows());
    let rules = rule("a", "kinds = []\ncells = [\"gone\"]") + &rule("b", "kinds = []\ndevices = [\"gone\"]");
    let (book, problems) = RuleBook::compile(&toml::from_str(&rules).unwrap(), &registry);
    assert_eq!(problems.len(), 2);
    assert!(registry.devices().iter().all(|device| book.watching(device.ix, Metric::TAMPER).is_empty()));
}
