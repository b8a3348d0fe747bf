//! Providers as their documents describe them, errors included: what each answers to one request. Signatures are checked with code of their own.
//!
//! The text of the message says what is to happen: `busy` 503, `slow` no answer in time, `garbage` something that is no JSON, `often` the
//! provider's frequency error, `refused` its refusal of the content. Anything else is taken.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::receiver::{Received, Reply};

pub const SECRET: &str = "SECtest0123456789";
pub const TOKEN: &str = "robot-token";

/// What every provider may do.
fn trouble(text: &str) -> Option<Reply> {
    if text.contains("busy") {
        return Some(Reply::status(503).body("upstream is busy"));
    }
    if text.contains("slow") {
        return Some(Reply::status(200).after(Duration::from_secs(30)));
    }
    text.contains("garbage").then(|| Reply::status(200).body("<html>a captive portal</html>"))
}

fn errcode(code: i64, words: &str) -> Reply {
    Reply::status(200).body(json!({ "errcode": code, "errmsg": words }).to_string())
}

fn hmac(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

pub fn wecom_robot(got: &Received) -> Reply {
    let body = got.json();
    let text = body["text"]["content"].as_str().unwrap_or_default();
    if got.uri.path() != "/cgi-bin/webhook/send" || got.query("key") != TOKEN {
        return errcode(93000, "invalid webhook url");
    }
    trouble(text).unwrap_or_else(|| match text {
        _ if body["msgtype"] != "text" => errcode(40008, "invalid message type"),
        _ if 2_048 < text.len() => errcode(45002, "content size out of limit"),
        _ if text.contains("often") => errcode(45009, "api freq out of limit"),
        _ if text.contains("refused") => errcode(40058, "invalid Request Parameter"),
        _ => errcode(0, "ok"),
    })
}

pub fn dingtalk(got: &Received) -> Reply {
    let body = got.json();
    let text = body["text"]["content"].as_str().unwrap_or_default();
    if got.uri.path() != "/robot/send" || got.query("access_token") != TOKEN {
        return errcode(300001, "token is not exist");
    }
    let stamp = got.query("timestamp");
    if got.query("sign") != hmac(SECRET, &format!("{stamp}\n{SECRET}")) {
        return errcode(310000, "sign not match");
    }
    trouble(text).unwrap_or_else(|| match text {
        _ if text.contains("often") => errcode(130101, "send too fast, exceed 20 times per minute"),
        _ if text.contains("refused") => errcode(310000, "keywords not in content"),
        _ => errcode(0, "ok"),
    })
}

pub fn feishu(got: &Received) -> Reply {
    let code = |code: i64, words: &str| {
        Reply::status(200).body(json!({ "code": code, "msg": words, "data": {} }).to_string())
    };
    let body = got.json();
    let text = body["content"]["text"].as_str().unwrap_or_default();
    if got.uri.path() != format!("/open-apis/bot/v2/hook/{TOKEN}") {
        return code(19001, "param invalid: incoming webhook access token invalid");
    }
    let stamp = body["timestamp"].as_str().unwrap_or_default();
    if body["sign"] != hmac(&format!("{stamp}\n{SECRET}"), "") {
        return code(19021, "sign match fail or timestamp is not within one hour from current time");
    }
    trouble(text).unwrap_or_else(|| match text {
        _ if text.contains("often") => code(11232, "frequency limited"),
        _ if text.contains("refused") => code(19024, "Key Words Not Found"),
        _ => code(0, "success"),
    })
}

pub fn ntfy(got: &Received) -> Reply {
    let error = |status: u16, code: u32, words: &str| {
        Reply::status(status).body(json!({ "code": code, "http": status, "error": words }).to_string())
    };
    if got.header("authorization") != format!("Bearer {TOKEN}") {
        return error(401, 40101, "unauthorized");
    }
    let body = got.json();
    let title = body["title"].as_str().unwrap_or_default();
    trouble(title).unwrap_or_else(|| match title {
        _ if title.contains("often") => error(429, 42901, "limit reached: too many requests, please be nice"),
        _ if title.contains("refused") => error(400, 40009, "invalid topic: path invalid"),
        _ => Reply::status(200)
            .body(json!({ "id": "hwQ2YpKdmg", "event": "message", "topic": body["topic"] }).to_string()),
    })
}

pub fn gotify(got: &Received) -> Reply {
    let error = |status: u16, words: &str| {
        Reply::status(status).body(json!({ "errorCode": status, "errorDescription": words }).to_string())
    };
    if got.uri.path() != "/message" || got.header("x-gotify-key") != TOKEN {
        return error(401, "you need to provide a valid access token or user credentials to access this api");
    }
    let body = got.json();
    let title = body["title"].as_str().unwrap_or_default();
    trouble(title).unwrap_or_else(|| match title {
        _ if title.contains("often") => Reply::status(429).header("retry-after", "40"),
        _ if title.contains("refused") => error(400, "Key: 'Message.Message' Error:Field validation"),
        _ => Reply::status(200).body(json!({ "id": 25, "appid": 5 }).to_string()),
    })
}

/// SendSms of Aliyun's V3 interface; the signature is computed from the request as it came.
pub fn aliyun_sms(got: &Received) -> Reply {
    let code = |status: u16, code: &str| {
        Reply::status(status).body(json!({ "Code": code, "Message": code, "RequestId": "R-1" }).to_string())
    };
    let signed = [
        "host",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
    ];
    let lines: String = signed.iter().map(|name| format!("{name}:{}\n", got.header(name))).collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sha = |text: &[u8]| hex(&<Sha256 as sha2::Digest>::digest(text));
    let request = format!(
        "{}\n{}\n{}\n{lines}\n{}\n{}",
        got.method,
        got.uri.path(),
        got.uri.query().unwrap_or_default(),
        signed.join(";"),
        sha(&got.body)
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(format!("ACS3-HMAC-SHA256\n{}", sha(request.as_bytes())).as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    let credential = format!(
        "ACS3-HMAC-SHA256 Credential={TOKEN},SignedHeaders={},Signature={signature}",
        signed.join(";")
    );
    if got.header("authorization") != credential {
        return code(400, "SignatureDoesNotMatch");
    }
    let parameters: serde_json::Value = serde_json::from_str(&got.query("TemplateParam")).unwrap_or_default();
    let text = parameters["text"].as_str().unwrap_or_default();
    trouble(text).unwrap_or_else(|| match text {
        _ if got.header("x-acs-action") != "SendSms" || got.query("PhoneNumbers").len() != 11 => {
            code(200, "isv.MOBILE_NUMBER_ILLEGAL")
        }
        _ if text.contains("often") => code(200, "isv.BUSINESS_LIMIT_CONTROL"),
        _ if text.contains("refused") => code(200, "isv.SMS_TEMPLATE_ILLEGAL"),
        _ => Reply::status(200).body(json!({ "Code": "OK", "BizId": "900619746936498440^0" }).to_string()),
    })
}
