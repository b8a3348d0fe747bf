//! `gridwarden account …`: for whoever stands at the machine, above all the administrator who is locked out. Works beside a running gateway.

use anyhow::{bail, ensure};

use crate::accounts::{Account, FIRST, Role, check_name, password};
use crate::clock;
use crate::config::Loaded;
use crate::store::accounts::{Changed, Ends};
use crate::store::{Audit, Store};

#[derive(clap::Subcommand)]
pub enum AccountCommand {
    /// Make an account with a one-time password
    Add {
        name: String,
        /// Several are separated by commas
        #[arg(long, value_delimiter = ',', required = true)]
        role: Vec<Role>,
        /// Id of the person who acts with it
        #[arg(long)]
        person: Option<String>,
        /// Codes of its cells, separated by commas
        #[arg(long, value_delimiter = ',')]
        cell: Vec<String>,
    },
    /// Give an account a new one-time password, take away its second factor, end its sessions and enable it
    Reset { name: String },
    /// Disable an account and end its sessions
    Disable { name: String },
    /// List all accounts
    List,
}

/// What to print.
pub async fn run(loaded: &Loaded, command: AccountCommand) -> anyhow::Result<String> {
    let store = Store::open_beside(&loaded.store_path())?;
    match command {
        AccountCommand::Add { name, role, person, cell } => {
            check_name(&name).map_err(|wrong| anyhow::anyhow!("the name `{name}`: {wrong}"))?;
            let rows = store.load_registry().await?;
            let known = |id: &str| rows.people.iter().any(|one| one.id == id);
            if let Some(id) = &person {
                ensure!(known(id), "there is no person `{id}`; `gridwarden import people` brings people in");
            }
            ensure!(
                person.as_ref() == Some(&name) || !known(&name),
                "`{name}` is the id of a person: add `--person {name}`, or choose another name"
            );
            if let Some(unknown) = cell.iter().find(|code| !rows.cells.iter().any(|cell| cell.code == **code))
            {
                bail!("there is no cell `{unknown}`");
            }
            let (account, text) = with_one_time(Account {
                person,
                roles: role,
                cells: cell,
                ..Account::new(&name, Role::Viewer, clock::wall())
            });
            ensure!(
                store.add_account(account, line("account.add", &name)).await?,
                "there is an account `{name}` already"
            );
            Ok(text)
        }
        AccountCommand::Reset { name } => {
            let (fresh, text) = with_one_time(Account::new(&name, Role::Viewer, clock::wall()));
            let change = move |account: &mut Account| {
                (account.password, account.must_change) = (fresh.password, true);
                (account.totp, account.disabled) = (None, false);
                true
            };
            let changed = store.change_account(&name, Ends::All, line("account.reset", &name), change);
            answer(changed.await?, &name).map(|()| text)
        }
        AccountCommand::Disable { name } => {
            let change = |account: &mut Account| {
                account.disabled = true;
                true
            };
            let changed = store.change_account(&name, Ends::All, line("account.disable", &name), change);
            answer(changed.await?, &name).map(|()| format!("The account `{name}` is disabled.\n"))
        }
        AccountCommand::List => {
            let accounts = store.accounts().await?;
            Ok(accounts.iter().map(|account| row(account) + "\n").collect())
        }
    }
}

/// The administrator that a store begins with, when it has no account: what to print.
pub async fn first(store: &Store) -> anyhow::Result<Option<String>> {
    if !store.accounts().await?.is_empty() {
        return Ok(None);
    }
    let account = Account::new(FIRST, Role::Administrator, clock::wall());
    let (account, text) = tokio::task::spawn_blocking(|| with_one_time(account)).await?;
    let added = store.add_first_account(account, line("account.first", FIRST)).await?;
    Ok(added.then_some(text))
}

fn with_one_time(account: Account) -> (Account, String) {
    let secret = password::one_time();
    let text = format!(
        "Log in as `{}` with the one-time password {secret} and choose your own. It is shown only here.\n",
        account.name
    );
    (Account { password: Some(password::hash(&secret)), must_change: true, ..account }, text)
}

fn answer(changed: Changed, name: &str) -> anyhow::Result<()> {
    match changed {
        Changed::Done(_) => Ok(()),
        Changed::NoSuchAccount | Changed::Refused => {
            bail!("there is no account `{name}`; `gridwarden account list` lists them")
        }
        Changed::LastAdministrator => {
            bail!("`{name}` is the last administrator; make another one first")
        }
    }
}

fn row(account: &Account) -> String {
    let mut words = vec![account.name.clone(), crate::http::accounts::role_names(&account.roles)];
    words.extend(account.person.as_ref().map(|person| format!("person {person}")));
    words.extend((!account.cells.is_empty()).then(|| format!("cells {}", account.cells.join(" "))));
    words.extend(account.password.is_none().then(|| "no password".into()));
    words.extend(account.must_change.then(|| "password to be changed".into()));
    words.extend(account.totp.is_some().then(|| "second factor".into()));
    words.extend(account.disabled.then(|| "DISABLED".into()));
    words.join("; ")
}

/// Recorded under the name of whoever is logged in on the machine.
pub(crate) fn line(what: &str, name: &str) -> Audit {
    let user = std::env::var("USER").unwrap_or_else(|_| "gridwarden".into());
    Audit {
        at: clock::wall(),
        who: format!("{user}@console"),
        what: what.into(),
        target: format!("account {name}"),
        detail: String::new(),
    }
}
