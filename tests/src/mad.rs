//! A device that knows no measure: MQTT written by hand, so that the sender is never the slow side and may send what no client would.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Mad {
    stream: TcpStream,
}

impl Mad {
    /// Connected and greeted.
    pub async fn connect(port: u16, id: &str) -> std::io::Result<Self> {
        Self::greet(port, 0x02, &[id.as_bytes()]).await
    }

    /// Leaves a will behind when it is dropped: no DISCONNECT is sent.
    pub async fn connect_with_will(port: u16, id: &str, topic: &str, will: &[u8]) -> std::io::Result<Self> {
        Self::greet(port, 0x06, &[id.as_bytes(), topic.as_bytes(), will]).await
    }

    async fn greet(port: u16, flags: u8, texts: &[&[u8]]) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut body = b"\0\x04MQTT\x04".to_vec();
        body.extend([flags, 0, 60]);
        for text in texts {
            put_text(&mut body, text);
        }
        stream.write_all(&packet(0x10, &body)).await?;
        stream.read_exact(&mut [0; 4]).await?;
        Ok(Self { stream })
    }

    /// QoS 0.
    pub async fn publish(&mut self, topic: &[u8], payload: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(&publish(topic, payload)).await
    }

    /// QoS 1; returns when it is acknowledged.
    pub async fn publish_safe(&mut self, topic: &str, payload: &[u8]) -> std::io::Result<()> {
        let mut body = Vec::new();
        put_text(&mut body, topic.as_bytes());
        body.extend([0, 7]);
        body.extend(payload);
        self.stream.write_all(&packet(0x32, &body)).await?;
        self.stream.read_exact(&mut [0; 4]).await?;
        Ok(())
    }

    /// Bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// What the other side says before it closes; empty after `wait`.
    pub async fn closed(&mut self, wait: Duration) -> bool {
        let mut bytes = [0; 1024];
        let ended = async {
            loop {
                match self.stream.read(&mut bytes).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => (),
                }
            }
        };
        tokio::time::timeout(wait, ended).await.is_ok()
    }
}

pub fn publish(topic: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, topic);
    body.extend(payload);
    packet(0x30, &body)
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let low = (left % 128) as u8;
        left /= 128;
        bytes.push(if left > 0 { low | 128 } else { low });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text);
}
