use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;

async fn exchange(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn serves_pages_as_they_are_when_asked_for() {
    let server = PlainServer::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into()).await.unwrap();
    let address = server.local_addr();
    let asked = AtomicU32::new(0);
    let count = move || Response::new(format!("count {}", asked.fetch_add(1, Ordering::Relaxed)));
    let fail = || {
        let mut response = Response::new("not ready".to_owned());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    };
    let pages: Vec<(&str, Page)> = vec![("/metrics", Box::new(count)), ("/readyz", Box::new(fail))];
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.run(pages, async { stopped.await.unwrap() }));

    let table = [
        ("GET /metrics", "HTTP/1.1 200", "count 0"),
        ("GET /metrics?x=y", "HTTP/1.1 200", "count 1"),
        ("GET /readyz", "HTTP/1.1 503", "not ready"),
        ("GET /", "HTTP/1.1 404", "no such path"),
        ("GET /metrics/", "HTTP/1.1 404", "no such path"),
        ("POST /metrics", "HTTP/1.1 405", "only GET, HEAD"),
        ("HEAD /metrics", "HTTP/1.1 200", "content-length: 7"),
    ];
    for (head, status, text) in table {
        let answer = exchange(address, head).await;
        assert!(answer.starts_with(status), "{head}: {answer}");
        assert!(answer.contains(text), "{head}: {answer}");
    }
    stop.send(()).unwrap();
    served.await.unwrap();
}
