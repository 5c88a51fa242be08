//! The way to an event handler: a connection at a time, and another one in its place when the application closes it,
//! as it may between two requests.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use url::Url;

use super::connect::connect;
use super::exchange::{Answer, Exchange};
use super::plan::Plan;
use super::report::{Failure, Report};
use super::tls;

/// See the module.
pub(super) struct Line<'a> {
    plan: &'a Plan,
    /// Any URL of the event handler: they differ in path and query alone.
    url: &'a Url,
    addresses: Vec<SocketAddr>,
    exchange: Exchange,
}

impl<'a> Line<'a> {
    /// Opens a connection, with TLS where the URL says so. Nothing when a step failed.
    pub(super) async fn open(
        plan: &'a Plan,
        url: &'a Url,
        addresses: Vec<SocketAddr>,
        report: &mut Report,
    ) -> Option<Self> {
        let exchange = open(plan, url, &addresses, report).await?;
        Some(Self { plan, url, addresses, exchange })
    }

    /// Sends a request, and waits for the whole answer.
    pub(super) async fn send(&mut self, request: &Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let is_new = !self.exchange.has_answered();
        let result = self.exchange.send(request.clone()).await;
        if is_new || !self.exchange.was_lost() {
            return result;
        }
        let mut unseen = Report::json();
        let exchange = open(self.plan, self.url, &self.addresses, &mut unseen).await;
        self.exchange = exchange.ok_or_else(|| {
            let advice = "It closed the one before, and a new one failed: see whether it is still running.";
            Failure::new("the application accepts no further connection", advice)
        })?;
        self.exchange.send(request.clone()).await
    }
}

async fn open(plan: &Plan, url: &Url, addresses: &[SocketAddr], report: &mut Report) -> Option<Exchange> {
    let limit = plan.timeout;
    let socket = report.step("connect", connect(addresses, limit)).await?;
    let exchange = if url.scheme() == "https" {
        let stream = report.step("tls", tls::handshake(&plan.tls, url, socket, limit)).await?;
        match tls::is_http2(&stream) {
            true => Exchange::http2(TokioIo::new(stream), limit).await,
            false => Exchange::http1(TokioIo::new(stream), limit).await,
        }
    } else {
        report.skipped("tls", "not used, as the URL begins with http://");
        match plan.webhooks.h2c.contains(&url.origin().ascii_serialization()) {
            true => Exchange::http2(TokioIo::new(socket), limit).await,
            false => Exchange::http1(TokioIo::new(socket), limit).await,
        }
    };
    exchange.map_err(|failure| report.failed("connect", failure)).ok()
}
