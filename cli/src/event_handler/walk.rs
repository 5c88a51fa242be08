//! The steps from the settings to the answer of an event handler, in their order. A step that fails is the last.

use std::time::Duration;

use broker::events::webhook::{ProxyConfig, WebhookConfig};
use broker::settings::handler::UpstreamAuth;
use codec::ids::EventName;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::connect::resolve;
use super::event::{self, Tester};
use super::exchange::Answer;
use super::line::Line;
use super::plan::{Delivery, Handler, Plan, Target};
use super::report::{Done, Failure, Report};
use super::status::{self, Asked};
use super::validation::validate;

/// Walks all that the plan names.
pub(super) async fn all(plan: &Plan, report: &mut Report) {
    for target in &plan.targets {
        report.begin(target);
        match &target.handler {
            Some(handler) => {
                let walk = Walk { plan, target, handler };
                // A failure has been noted.
                let _ = walk.walk(report).await;
            }
            None => {
                let advice = "Write eventHandlers for it into the hub settings. Until then, user events of its clients \
                              fail, and it has no system events.";
                let detail = format!("hub \"{}\" has no event handlers", target.hub);
                report.failed("settings", Failure::new(detail, advice));
            }
        }
    }
}

struct Walk<'a> {
    plan: &'a Plan,
    target: &'a Target,
    handler: &'a Handler,
}

impl Walk<'_> {
    /// Nothing when a step failed.
    async fn walk(&self, report: &mut Report) -> Option<()> {
        let limit = self.plan.timeout;
        let Some((url, origin)) = self.validation() else {
            let failure =
                Failure::new("the URL and the origin make no request", "Check both for odd characters.");
            report.failed("settings", failure);
            return None;
        };
        report.found("settings", self.settings());
        if goes_by_proxy(&self.plan.webhooks, &url) {
            report
                .skipped("proxy", "a node would go by the configured proxy; this check goes there directly");
        }
        let addresses = report.step("resolve", resolve(&url, &self.plan.webhooks.addresses, limit)).await?;
        let mut line = Line::open(self.plan, &url, addresses, report).await?;
        report.step("validation", validate(&mut line, &url, &origin)).await?;
        let Some((name, event_url)) = self.wanted(report) else {
            return Some(());
        };

        report.skipped("note", "the application cannot tell the test events from others, and acts on them");
        let connection = event::connection()?;
        let (hub, keys, auth) = (&self.target.hub, &self.plan.keys, &self.handler.auth);
        let tester = Tester { hub, name, origin: &origin, keys, auth, connection };
        let mut call = Call { plan: self.plan, url: &event_url, line, tester };
        let answer = report.step("event", call.first()).await?;
        let key = self.plan.key_source;
        report.found(
            "signature",
            format!("made with {key}; the application accepts it, or does not look at it"),
        );
        report.step("reply", async { event::reply(&answer) }).await?;
        report.step("latency", call.others(answer.took)).await
    }

    fn validation(&self) -> Option<(Url, HeaderValue)> {
        let url = self.handler.url.validation(&self.target.hub)?;
        Some((url, HeaderValue::from_str(&self.plan.origin).ok()?))
    }

    fn settings(&self) -> String {
        let event = self.plan.event.as_ref();
        match (self.handler.delivery, event) {
            (_, None) => "a test event is not wanted".to_owned(),
            (Delivery::Wanted, Some(event)) => format!("it gets the user event \"{event}\""),
            (Delivery::TakenBefore, Some(event)) => {
                format!("an event handler before it gets the user event \"{event}\", so it never does")
            }
            (Delivery::NotWanted, Some(event)) => format!("it does not take the user event \"{event}\""),
        }
    }

    /// The test event and where to send it, unless it must not be sent.
    fn wanted(&self, report: &mut Report) -> Option<(&EventName, Url)> {
        let Some(name) = &self.plan.event else {
            report.skipped("event", "left out, as --no-event says");
            return None;
        };
        if self.handler.delivery == Delivery::NotWanted {
            report.skipped(
                "event",
                "left out, because the settings do not send it there; --event names another",
            );
            return None;
        }
        if matches!(self.handler.auth, UpstreamAuth::Token { .. }) {
            report.skipped(
                "event",
                "left out, because it needs a token of an identity provider, which is not asked",
            );
            return None;
        }
        Some((name, self.handler.url.resolve(&self.target.hub, name.as_str())?))
    }
}

/// The test events of one event handler.
struct Call<'a> {
    plan: &'a Plan,
    url: &'a Url,
    line: Line<'a>,
    tester: Tester<'a>,
}

impl Call<'_> {
    async fn first(&mut self) -> Result<Done<Answer>, Failure> {
        let answer = self.send(1).await?;
        let (path, status) = (self.url.path(), status::named(answer.status));
        let detail =
            format!("POST {path} was answered {status}; the connection id is {}", self.tester.connection);
        Ok(Done { value: answer, detail })
    }

    /// Sends what is left to send, after one that took that long.
    async fn others(&mut self, first: Duration) -> Result<Done<()>, Failure> {
        let mut times = vec![first];
        for number in 2..=self.plan.count {
            times.push(self.send(number).await?.took);
        }
        Ok(Done { value: (), detail: summary(&mut times) })
    }

    async fn send(&mut self, number: u32) -> Result<Answer, Failure> {
        let answer = self.line.send(&self.tester.request(self.url, number)?).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let what = format!("POST {}, event {number} of {},", self.url.path(), self.plan.count);
        let asked = Asked::Event { key_source: self.plan.key_source };
        Err(status::failure(&what, answer.status, &answer.headers, asked))
    }
}

/// Whether a node would reach the URL by a proxy.
fn goes_by_proxy(webhooks: &WebhookConfig, url: &Url) -> bool {
    let matcher = match &webhooks.proxy {
        ProxyConfig::Direct => return false,
        ProxyConfig::Environment => Matcher::from_system(),
        ProxyConfig::Via { url, except } => {
            Matcher::builder().all(url.as_str().to_owned()).no(except.join(",")).build()
        }
    };
    let is_plain_http2 = webhooks.h2c.contains(&url.origin().ascii_serialization());
    !is_plain_http2 && Uri::try_from(url.as_str()).is_ok_and(|uri| matcher.intercept(&uri).is_some())
}

/// Of times there is at least one.
fn summary(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let shown = |time: Option<&Duration>| {
        let milliseconds = time.copied().unwrap_or_default().as_secs_f64() * 1000.0;
        format!("{milliseconds:.1} ms")
    };
    format!(
        "{} event(s): fastest {}, median {}, slowest {}",
        times.len(),
        shown(times.first()),
        shown(times.get(times.len() / 2)),
        shown(times.last())
    )
}
