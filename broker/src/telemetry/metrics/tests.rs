use super::*;

/// Name, type and labels of every metric. A change here changes dashboards and alerts.
const SERIES: [(&str, &str, &str); 17] = [
    (CONNECTIONS, "gauge", "hub,protocol"),
    (CONNECT, "counter", "result,reason"),
    (CLOSE, "counter", "category,initiator"),
    (MESSAGES_RECEIVED, "counter", "protocol"),
    (DELIVERIES, "counter", "protocol"),
    (MISSED, "counter", ""),
    (INBOUND_BYTES, "counter", ""),
    (OUTBOUND_BYTES, "counter", ""),
    (REST_REQUESTS, "counter", "operation,status"),
    (REST_SECONDS, "histogram", "operation"),
    (AUTH_FAILURE, "counter", "reason"),
    (SETTINGS_RELOADS, "counter", "outcome"),
    (SETTINGS_GOOD, "gauge", ""),
    (handlers::CALLS, "counter", "hub,outcome"),
    (handlers::SECONDS, "histogram", "hub"),
    (handlers::IN_FLIGHT, "gauge", "hub"),
    (handlers::WAITING, "gauge", "hub"),
];

fn everything_counted() -> Metrics {
    let metrics = Metrics::new(["chat"]);
    metrics.hub("chat").opened(Protocol::Json);
    let worker = metrics.worker();
    worker.inbound_bytes.add(1);
    worker.flush();
    metrics.rest_operation("SendToAll").answered(202, Duration::from_millis(2));
    drop(metrics.handler_calls("chat").begin());
    drop((metrics.handler_calls("chat").waiting(), metrics.handler_calls("chat").in_flight()));
    metrics
}

fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

fn labels_of(line: &str) -> String {
    let Some((_, labels)) = line.split_once('{') else {
        return String::new();
    };
    let names = labels.split("\",").map(|label| label.split('=').next().unwrap_or_default());
    names.filter(|name| *name != "le").collect::<Vec<_>>().join(",")
}

#[test]
fn every_metric_has_its_type_its_help_and_its_labels() {
    let text = everything_counted().render();
    for (name, kind, labels) in SERIES {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}\n{text}");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with(name)).collect();
        assert!(!lines.is_empty(), "{name} has no series");
        for line in lines {
            assert_eq!(labels_of(line), labels, "{line}");
        }
    }
    assert_eq!(text.matches("# TYPE ").count(), SERIES.len(), "{text}");
}

#[test]
fn counters_start_at_nought_so_that_the_first_event_is_a_rise() {
    let metrics = Metrics::new([]);
    assert_eq!(value(&metrics, r#"hubbub_connect_total{result="refused",reason="unauthorized"}"#), Some(0.0));
    metrics.connect(ConnectOutcome::Unauthorized);
    assert_eq!(value(&metrics, r#"hubbub_connect_total{result="refused",reason="unauthorized"}"#), Some(1.0));
    assert_eq!(value(&metrics, r#"hubbub_connect_total{result="accepted",reason="none"}"#), Some(0.0));
}

#[test]
fn hubs_without_settings_share_a_label() {
    let metrics = Metrics::new(["chat"]);
    metrics.hub("chat").opened(Protocol::Json);
    metrics.hub("stray1").opened(Protocol::Simple);
    metrics.hub("stray2").opened(Protocol::Simple);
    assert_eq!(value(&metrics, r#"hubbub_connections{hub="chat",protocol="json"}"#), Some(1.0));
    assert_eq!(value(&metrics, r#"hubbub_connections{hub="other",protocol="simple"}"#), Some(2.0));
    metrics.hub("stray1").closed(Protocol::Simple);
    assert_eq!(value(&metrics, r#"hubbub_connections{hub="other",protocol="simple"}"#), Some(1.0));
    assert!(!metrics.render().contains("stray"));
}

#[test]
fn calls_to_handlers_are_counted_by_hub_and_outcome() {
    let metrics = Metrics::new(["chat"]);
    let chat = metrics.handler_calls("chat");
    let (waiting, under_way) = (chat.waiting(), [chat.in_flight(), chat.in_flight()]);
    metrics.handler_calls("stray").begin().outcome = "succeeded";
    chat.begin().outcome = "circuit_open";
    drop(chat.begin());
    let check = |series, expected| assert_eq!(value(&metrics, series), Some(expected), "{series}");
    check(r#"hubbub_handler_waiting{hub="chat"}"#, 1.0);
    check(r#"hubbub_handler_calls_in_flight{hub="chat"}"#, 2.0);
    drop((waiting, under_way));
    check(r#"hubbub_handler_waiting{hub="chat"}"#, 0.0);
    check(r#"hubbub_handler_calls_in_flight{hub="chat"}"#, 0.0);
    check(r#"hubbub_handler_calls_total{hub="chat",outcome="circuit_open"}"#, 1.0);
    check(r#"hubbub_handler_calls_total{hub="chat",outcome="abandoned"}"#, 1.0);
    check(r#"hubbub_handler_calls_total{hub="chat",outcome="succeeded"}"#, 0.0);
    check(r#"hubbub_handler_calls_total{hub="other",outcome="succeeded"}"#, 1.0);
    check(r#"hubbub_handler_call_seconds_count{hub="chat"}"#, 2.0);
}

#[test]
fn words_outside_a_closed_set_are_counted_as_other() {
    let metrics = Metrics::new([]);
    metrics.close("SlowClient", Initiator::Broker);
    metrics.close("Unheard", Initiator::Client);
    metrics.auth_failure("audience");
    metrics.auth_failure("unheard");
    let check = |series, expected| assert_eq!(value(&metrics, series), Some(expected), "{series}");
    check(r#"hubbub_close_total{category="SlowClient",initiator="broker"}"#, 1.0);
    check(r#"hubbub_close_total{category="other",initiator="client"}"#, 1.0);
    check(r#"hubbub_auth_failures_total{reason="audience"}"#, 1.0);
    check(r#"hubbub_auth_failures_total{reason="other"}"#, 1.0);
}

#[test]
fn refused_settings_show_until_good_ones_are_read() {
    let metrics = Metrics::new([]);
    let good = || value(&metrics, "hubbub_settings_last_reload_success");
    assert_eq!(good(), Some(1.0));
    metrics.settings_reload(Reload::Refused);
    assert_eq!(good(), Some(0.0));
    metrics.settings_reload(Reload::Applied);
    assert_eq!(good(), Some(1.0));
    let reloads =
        |outcome| value(&metrics, &format!(r#"hubbub_settings_reloads_total{{outcome="{outcome}"}}"#));
    assert_eq!((reloads("applied"), reloads("refused")), (Some(1.0), Some(1.0)));
}

#[test]
fn a_workers_counts_appear_when_it_hands_them_over() {
    let metrics = Metrics::new([]);
    let workers = [metrics.worker(), metrics.worker()];
    for worker in &workers {
        worker.deliveries(Protocol::Json).add(40);
        worker.deliveries(Protocol::Json).add(2);
        worker.outbound_bytes.add(1000);
    }
    let deliveries = r#"hubbub_deliveries_total{protocol="json"}"#;
    assert_eq!(value(&metrics, deliveries), Some(0.0));
    workers.iter().for_each(WorkerMetrics::flush);
    workers.iter().for_each(WorkerMetrics::flush);
    assert_eq!(value(&metrics, deliveries), Some(84.0));
    assert_eq!(value(&metrics, "hubbub_outbound_bytes_total"), Some(2000.0));
}

#[test]
fn rest_calls_are_counted_by_class_and_timed_in_seconds() {
    let metrics = Metrics::new([]);
    let operation = metrics.rest_operation("SendToAll");
    operation.answered(202, Duration::from_millis(2));
    operation.answered(404, Duration::from_millis(600));
    metrics.upkeep();
    let check = |series, expected| assert_eq!(value(&metrics, series), Some(expected), "{series}");
    check(r#"hubbub_rest_requests_total{operation="SendToAll",status="2xx"}"#, 1.0);
    check(r#"hubbub_rest_requests_total{operation="SendToAll",status="4xx"}"#, 1.0);
    check(r#"hubbub_rest_request_seconds_bucket{operation="SendToAll",le="0.0025"}"#, 1.0);
    check(r#"hubbub_rest_request_seconds_bucket{operation="SendToAll",le="1"}"#, 2.0);
    check(r#"hubbub_rest_request_seconds_count{operation="SendToAll"}"#, 2.0);
}

#[test]
fn two_nodes_in_one_process_count_for_themselves() {
    let (left, right) = (Metrics::new([]), Metrics::new([]));
    left.connect(ConnectOutcome::Accepted);
    let accepted = r#"hubbub_connect_total{result="accepted",reason="none"}"#;
    assert_eq!((value(&left, accepted), value(&right, accepted)), (Some(1.0), Some(0.0)));
}
