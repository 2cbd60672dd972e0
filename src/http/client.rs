//! Who asks: the address at the other end of the connection, or the one that a proxy tells of.

use std::net::IpAddr;

use http::HeaderMap;

/// Headers in which proxies name their clients.
const TOLD_IN: [&str; 3] = ["x-forwarded-for", "x-real-ip", "forwarded"];

/// The client behind `peer`: the last hop of `X-Forwarded-For` if the peer is a proxy that is to be believed, or one on a
/// socket in the file system, which only this host can reach. The hops before that one are the client's own words.
pub(super) fn client(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &[IpAddr]) -> Option<IpAddr> {
    match peer {
        Some(peer) if !proxies.contains(&peer) => Some(peer),
        _ => last_hop(headers, TOLD_IN[0]).or(peer),
    }
}

/// True if a proxy says that the request comes from another host.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    let is_elsewhere = |name: &&str| {
        headers.contains_key(*name) && !last_hop(headers, name).is_some_and(|address| address.is_loopback())
    };
    TOLD_IN.iter().any(is_elsewhere)
}

fn last_hop(headers: &HeaderMap, name: &str) -> Option<IpAddr> {
    let last = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let address: IpAddr = last.rsplit(',').next()?.trim().parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let one = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap())
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn a_proxy_is_believed_its_last_hop_and_nobody_else_anything() {
        let [proxy, other, told]: [IpAddr; 3] =
            [[127, 0, 0, 1].into(), [10, 0, 0, 9].into(), [192, 0, 2, 7].into()];
        let forwarded = headers(&[("x-forwarded-for", "198.51.100.1, 192.0.2.7")]);
        assert_eq!(client(Some(proxy), &forwarded, &[proxy]), Some(told));
        assert_eq!(client(None, &forwarded, &[]), Some(told));
        assert_eq!(client(Some(other), &forwarded, &[proxy]), Some(other));
        assert_eq!(client(Some(proxy), &forwarded, &[]), Some(proxy));
        for nonsense in ["", "unknown", "192.0.2.7, x", "192.0.2.7:80"] {
            let nonsense = headers(&[("x-forwarded-for", nonsense)]);
            assert_eq!(client(Some(proxy), &nonsense, &[proxy]), Some(proxy));
        }
    }

    #[test]
    fn what_comes_from_elsewhere_through_a_proxy_is_seen_as_such() {
        for name in TOLD_IN {
            assert!(is_forwarded(&headers(&[(name, "192.0.2.7")])), "{name}");
            assert!(is_forwarded(&headers(&[(name, "for=192.0.2.7;proto=https")])), "{name}");
        }
        assert!(!is_forwarded(&headers(&[("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "::1")])));
        assert!(!is_forwarded(&headers(&[("x-forwarded-proto", "https"), ("x-path-prefix", "/npvr")])));
    }
}
