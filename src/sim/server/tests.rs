//! The simulation as a client meets it: through a socket, with everything that can go wrong there.

use std::error::Error as _;

use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::faults::{Class, FaultKind};
use super::*;
use crate::clock::Tick;

const NOW: Time = Time::from_s(1_790_000_000);
const INIT: &str = "/n/n.isml/dash/n-video=110000.dash";

async fn sim(faults: Vec<Fault>) -> Sim {
    serve(Options { faults, clock: Arc::new(|| NOW), ..Options::default() }).await.unwrap()
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn once(kind: FaultKind) -> Vec<Fault> {
    vec![Fault { times: Some(1), class: Some(Class::Init), ..Fault::new(kind) }]
}

async fn get(sim: &Sim, path: &str) -> reqwest::Result<reqwest::Response> {
    client().get(sim.at(path)).send().await
}

/// The I/O error at the bottom of a failed request.
fn io_kind(e: &reqwest::Error) -> Option<io::ErrorKind> {
    let chain = std::iter::successors(e.source(), |&e| e.source());
    chain.filter_map(|e| e.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

#[tokio::test]
async fn answers_come_whole_dated_by_the_simulations_clock_and_are_counted() {
    let sim = sim(vec![]).await;
    let answer = get(&sim, INIT).await.unwrap();
    assert_eq!(answer.headers()[DATE], "Mon, 21 Sep 2026 14:13:20 GMT");
    let len = answer.content_length();
    assert_eq!(answer.bytes().await.unwrap().len() as u64, len.unwrap());
    let head = client().head(sim.at(INIT)).send().await.unwrap();
    assert_eq!(head.headers()[CONTENT_LENGTH], len.unwrap().to_string());
    assert!(head.bytes().await.unwrap().is_empty());
    get(&sim, "/n/n.isml/archive").await.unwrap();
    get(&sim, "/nothing").await.unwrap();
    let expected = Requests { init: 2, archive: 1, other: 1, ..Requests::default() };
    assert_eq!(sim.requests(), expected);
    let json = get(&sim, "/_requests").await.unwrap().text().await.unwrap();
    assert_eq!(json.trim(), serde_json::to_string(&expected).unwrap());
    assert_eq!(sim.url("n").path(), "/n/n.isml");
    assert_eq!(client().get(sim.plain_url("n")).send().await.unwrap().status(), 200);
    sim.stop().await;
}

#[tokio::test]
async fn a_reset_is_a_reset_and_the_next_try_is_answered() {
    let sim = sim(once(FaultKind::Reset)).await;
    let e = get(&sim, INIT).await.unwrap_err();
    assert_eq!(io_kind(&e), Some(io::ErrorKind::ConnectionReset), "{e:?}");
    assert_eq!(get(&sim, INIT).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_short_body_ends_before_its_announced_length() {
    let sim = sim(once(FaultKind::Short)).await;
    let mut answer = get(&sim, INIT).await.unwrap();
    let announced = answer.content_length().unwrap();
    let (mut got, mut failed) = (0, false);
    while !failed {
        match answer.chunk().await {
            Ok(Some(bytes)) => got += bytes.len() as u64,
            Ok(None) => break,
            Err(_) => failed = true,
        }
    }
    assert!(failed && got == announced / 2, "{got} of {announced}");
    assert_eq!(get(&sim, INIT).await.unwrap().bytes().await.unwrap().len() as u64, announced);
}

#[tokio::test]
async fn a_stalled_answer_has_headers_and_ends_only_with_the_simulation() {
    let sim = sim(once(FaultKind::Stall)).await;
    let answer = get(&sim, INIT).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = Box::pin(answer.bytes());
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut body).await.is_err());
    let (_, body) =
        tokio::time::timeout(Duration::from_millis(1_500), async { tokio::join!(sim.stop(), body) })
            .await
            .expect("the end of the simulation ends the answer");
    assert!(body.is_err());
}

#[tokio::test]
async fn a_slow_answer_takes_its_time_and_is_whole() {
    let sim = sim(vec![]).await;
    let whole = get(&sim, INIT).await.unwrap().bytes().await.unwrap();
    let len = whole.len() as u64;
    for (kind, at_least_ms) in
        [(FaultKind::Slow(len * 2), 400), (FaultKind::Delay(Duration::from_millis(150)), 150)]
    {
        sim.set_faults(once(kind));
        let start = Tick::now();
        assert_eq!(get(&sim, INIT).await.unwrap().bytes().await.unwrap(), whole);
        assert!(start.elapsed() >= Duration::from_millis(at_least_ms), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_script_is_put_and_deleted_while_it_runs() {
    let sim = sim(vec![]).await;
    let faults = sim.at("/_faults");
    let put = |body: &'static str| client().put(faults.clone()).body(body).send();
    let script = "[[fault]]\nkind = 'status'\nstatus = 503\ntimes = 2";
    assert_eq!(put(script).await.unwrap().status(), 204);
    for status in [503, 503, 200] {
        assert_eq!(get(&sim, INIT).await.unwrap().status(), status);
    }
    assert_eq!(put(script).await.unwrap().status(), 204);
    assert_eq!(client().delete(faults.clone()).send().await.unwrap().status(), 204);
    assert_eq!(get(&sim, INIT).await.unwrap().status(), 200);
    let refused = put("[[fault]]\nkind = 'rset'").await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("fault 1 (rset)"));
    let huge = client().put(faults.clone()).body("#".repeat(SCRIPT_BYTES + 1)).send().await.unwrap();
    assert_eq!(huge.status(), 400);
    assert_eq!(client().post(faults).send().await.unwrap().status(), 405);
    assert_eq!(client().post(sim.at(INIT)).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn other_hosts_are_let_in_only_where_that_is_asked_for() {
    let listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = serve(Options { listen, ..Options::default() }).await.err().unwrap();
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(serve(Options { listen, allow_remote: true, ..Options::default() }).await.is_ok());
}

#[tokio::test]
async fn it_stops_at_once_though_a_client_keeps_its_connection() {
    let sim = sim(vec![]).await;
    let client = client();
    client.get(sim.at(INIT)).send().await.unwrap().bytes().await.unwrap();
    let addr = sim.addr;
    let start = Tick::now();
    sim.stop().await;
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_request_whose_headers_have_no_end_is_refused() {
    let sim = sim(vec![]).await;
    let mut stream = TcpStream::connect(sim.addr).await.unwrap();
    let header = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(HEADER_BYTES));
    stream.write_all(header.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
    assert_eq!(get(&sim, INIT).await.unwrap().status(), 200);
}
