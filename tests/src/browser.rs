//! Headless Chromium, told what to do over a pair of pipes (the DevTools protocol, messages ended by a zero byte).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// One page of one browser; killed when dropped.
pub struct Browser {
    to: pipe::Sender,
    from: BufReader<pipe::Receiver>,
    number: u64,
    session: Option<String>,
    /// What the page's console and its failed requests said.
    pub complaints: Vec<String>,
    _child: Child,
    _folder: tempfile::TempDir,
}

impl Browser {
    pub async fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        let made = Command::new("mkfifo").args([&to, &from]).status().await?;
        ensure!(made.success(), "mkfifo failed");
        let mut both = pipe::OpenOptions::new();
        both.read_write(true); // So that opening does not wait for the browser.
        let (sender, receiver) = (both.open_sender(&to)?, both.open_receiver(&from)?);
        let log = std::fs::File::create(folder.path().join("output.log"))?;
        let child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<to 4>from", "chromium"])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-proxy-server",
            ])
            .args(["--remote-debugging-pipe", "--lang=zh-CN", "about:blank"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("--window-size={width},{height}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start chromium")?;
        let mut browser = Self {
            to: sender,
            from: BufReader::new(receiver),
            number: 0,
            session: None,
            complaints: Vec::new(),
            _child: child,
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach).await?;
        browser.session = session["sessionId"].as_str().map(ToOwned::to_owned);
        browser.call("Runtime.enable", json!({})).await?;
        browser.call("Log.enable", json!({})).await?;
        browser.call("Page.enable", json!({})).await?;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        browser.call("Emulation.setDeviceMetricsOverride", size).await?;
        Ok(browser)
    }

    pub async fn go(&mut self, url: &str) -> anyhow::Result<()> {
        let answer = self.call("Page.navigate", json!({ "url": url })).await?;
        ensure!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
        Ok(())
    }

    /// The value of a JavaScript expression; promises are waited for.
    pub async fn evaluate(&mut self, expression: &str) -> anyhow::Result<Json> {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", ask).await?;
        ensure!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until a JavaScript expression is true, at most `seconds`.
    pub async fn until(&mut self, expression: &str, seconds: u64) -> anyhow::Result<()> {
        for _ in 0..seconds * 20 {
            if self.evaluate(expression).await.ok() == Some(Json::Bool(true)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let page = self.evaluate("document.body.innerText").await?;
        bail!(
            "not within {seconds} s: {expression}; the page shows {page}; it complained {:?}",
            self.complaints
        )
    }

    /// Takes the network away from the page, or gives it back.
    pub async fn offline(&mut self, offline: bool) -> anyhow::Result<()> {
        self.call("Network.enable", json!({})).await?;
        let conditions =
            json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.call("Network.emulateNetworkConditions", conditions).await?;
        Ok(())
    }

    /// A PNG of the whole page.
    pub async fn picture(&mut self, file: &Path) -> anyhow::Result<()> {
        let shot = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", shot).await?;
        let data = answer["data"].as_str().context("a picture")?;
        let text = folder_of(file)?.join("picture.base64");
        std::fs::write(&text, data)?;
        let decoded = Command::new("base64").arg("-d").arg(&text).output().await?;
        std::fs::remove_file(&text)?;
        Ok(std::fs::write(file, decoded.stdout)?)
    }

    async fn call(&mut self, method: &str, params: Json) -> anyhow::Result<Json> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.to.write_all(&bytes).await?;
        let answer = tokio::time::timeout(Duration::from_secs(30), self.answer(self.number)).await;
        let answer = answer.with_context(|| format!("chromium did not answer {method}"))??;
        ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        Ok(answer["result"].clone())
    }

    async fn answer(&mut self, number: u64) -> anyhow::Result<Json> {
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).await?;
            bytes.pop();
            let message: Json = serde_json::from_slice(&bytes)?;
            if message["id"] == number {
                return Ok(message);
            }
            if let Some("Runtime.exceptionThrown" | "Log.entryAdded") = message["method"].as_str() {
                self.complaints.push(message["params"].to_string());
            }
        }
    }
}

fn folder_of(file: &Path) -> anyhow::Result<&Path> {
    file.parent().with_context(|| format!("{} has no folder", file.display()))
}
