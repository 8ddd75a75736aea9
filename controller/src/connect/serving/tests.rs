//! What a link costs while nothing is said on it.

use super::serve;

fn size_of_future<A, B, C, D, E, F: Future>(_: impl FnOnce(A, B, C, D, E) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn what_serves_an_idle_agent_is_small() {
    let size = size_of_future(serve::<tokio::net::TcpStream>);
    assert!(size <= 2560, "{size} bytes for each of ten thousand agents");
}
