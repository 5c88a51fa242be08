use super::*;

const A: ServerKey = ServerKey(1);
const B: ServerKey = ServerKey(2);

struct Case {
    outbox: Outbox<String>,
    now: Instant,
}

impl Case {
    /// A serves all.
    fn new(messages: usize) -> Self {
        let mut outbox = Outbox::new(QueueLimits { messages, bytes: 1000 });
        outbox.add(A, Arc::default());
        outbox.add(B, Arc::default());
        outbox.assign(|_| Some(A));
        Self { outbox, now: Instant::now() }
    }

    fn push(&mut self, partition: u8, channel: &str) -> Result<(), BusFull> {
        let item = Item::new(Partition(partition), channel.len(), channel.to_owned(), self.now);
        self.outbox.push(item)
    }

    fn take(&mut self, key: ServerKey) -> Vec<Item<String>> {
        self.outbox.take(key, self.now).items
    }

    /// Partition 2 is with B from now on.
    fn second_moves(&mut self) {
        self.outbox.assign(|partition| Some(if partition == Partition(2) { B } else { A }));
    }
}

fn names(items: &[Item<String>]) -> Vec<&str> {
    items.iter().map(|item| &*item.content).collect()
}

#[test]
fn what_is_not_confirmed_goes_again_first() {
    let mut case = Case::new(10);
    for name in ["a", "b", "c"] {
        case.push(1, name).unwrap();
    }
    let mut batch = case.take(A);
    assert_eq!(names(&batch), ["a", "b", "c"]);
    case.push(1, "d").unwrap();
    let mut done = Load::default();
    done.add(&batch.remove(0));
    case.outbox.finish(A, done, batch);
    assert_eq!(case.outbox.load(), Load { messages: 3, bytes: 3 });
    assert_eq!(names(&case.take(A)), ["b", "c", "d"]);
}

#[test]
fn a_full_queue_takes_nothing_until_something_has_gone() {
    let mut case = Case::new(2);
    case.push(1, "a").unwrap();
    case.push(2, "b").unwrap();
    assert_eq!(case.push(1, "c"), Err(BusFull));
    let batch = case.take(A);
    assert_eq!(case.push(1, "c"), Err(BusFull), "what is in flight still counts");
    let mut done = Load::default();
    batch.iter().for_each(|item| done.add(item));
    case.outbox.finish(A, done, Vec::new());
    case.push(1, "c").unwrap();
    let mut case = Case::new(10);
    assert_eq!(case.push(1, &"x".repeat(1001)), Err(BusFull));
}

#[test]
fn what_waits_moves_along_with_its_partition() {
    let mut case = Case::new(10);
    for (partition, name) in [(1, "a"), (2, "b"), (1, "c"), (2, "d")] {
        case.push(partition, name).unwrap();
    }
    case.second_moves();
    case.push(2, "e").unwrap();
    assert_eq!(names(&case.take(A)), ["a", "c"]);
    assert_eq!(names(&case.take(B)), ["b", "d", "e"]);
    assert_eq!(case.outbox.load().messages, 5);
}

#[test]
fn a_partition_moves_only_when_nothing_of_it_is_in_flight() {
    let mut case = Case::new(10);
    case.push(2, "a").unwrap();
    case.push(1, "b").unwrap();
    let batch = case.take(A);
    case.push(2, "c").unwrap();
    case.second_moves();
    case.push(2, "d").unwrap();
    assert_eq!(names(&case.take(B)), [""; 0]);
    assert!(!case.outbox.remove_if_unused(B));
    case.outbox.finish(A, Load::default(), batch);
    assert_eq!(names(&case.take(B)), ["a", "c", "d"]);
    assert_eq!(names(&case.take(A)), ["b"]);
}

#[test]
fn nothing_waits_for_ever() {
    let mut case = Case::new(10);
    case.push(1, "a").unwrap();
    case.now += PATIENCE / 2;
    case.push(1, "b").unwrap();
    case.now += PATIENCE / 2 + Duration::from_millis(1);
    let batch = case.outbox.take(A, case.now);
    assert_eq!((names(&batch.expired), names(&batch.items)), (vec!["a"], vec!["b"]));
    assert_eq!(case.outbox.load().messages, 1);
}

#[test]
fn all_owners_must_be_up() {
    let mut case = Case::new(10);
    assert!(!case.outbox.is_reachable());
    case.outbox.set_up(A, true);
    assert!(case.outbox.is_reachable());
    case.second_moves();
    assert!(!case.outbox.is_reachable());
    case.outbox.assign(|_| Some(B));
    assert!(case.outbox.remove_if_unused(A));
}

#[test]
fn a_queue_that_is_half_full_is_crowded_until_three_eighths_are_left() {
    let check = |messages: usize, bytes: usize| {
        let mut case = Case::new(80);
        let fill = |case: &mut Case, count: usize| {
            (0..count).for_each(|_| case.push(1, &"x".repeat(bytes)).unwrap());
        };
        fill(&mut case, messages - 1);
        assert!(!case.outbox.is_crowded());
        fill(&mut case, 1);
        assert!(case.outbox.is_crowded());
        let mut batch = case.take(A);
        let mut take_off = |case: &mut Case, count: usize| {
            let mut done = Load::default();
            batch.drain(..count).for_each(|item| done.add(&item));
            case.outbox.finish(A, done, Vec::new());
        };
        take_off(&mut case, messages / 4);
        assert!(case.outbox.is_crowded(), "three eighths are left");
        take_off(&mut case, 1);
        assert!(!case.outbox.is_crowded());
        fill(&mut case, messages / 4);
        assert!(!case.outbox.is_crowded());
        fill(&mut case, 1);
        assert!(case.outbox.is_crowded());
    };
    check(40, 1);
    check(20, 25);
}

#[test]
fn whoever_waits_for_room_does_so_while_the_server_takes_something_now_and_then() {
    let mut case = Case::new(8);
    let start = case.now;
    (0..4).for_each(|_| case.push(1, "a").unwrap());
    assert_eq!(case.outbox.crowded_until(start), Some(start + AWAY));
    assert_eq!(case.outbox.crowded_until(start + AWAY), None, "it is away");
    case.outbox.moved(A, start + AWAY);
    assert_eq!(case.outbox.crowded_until(start + AWAY), Some(start + 2 * AWAY));
    case.now = start + PATIENCE + Duration::from_millis(1);
    case.outbox.expire(A, case.now);
    case.outbox.moved(A, case.now);
    assert_eq!(case.outbox.crowded_until(case.now), None, "there is room");
}

#[test]
fn a_server_refuses_until_it_takes_something() {
    let mut case = Case::new(10);
    assert!(!case.outbox.is_refused());
    assert!(!case.outbox.set_refused(A, false));
    assert!(case.outbox.set_refused(B, true) && !case.outbox.set_refused(B, true));
    assert!(!case.outbox.set_refused(A, false));
    assert!(case.outbox.is_refused(), "one of them is enough");
    assert!(case.outbox.set_refused(B, false));
    assert!(!case.outbox.is_refused());
}

#[test]
fn what_waits_longest_tells_how_long_anything_waits() {
    let mut case = Case::new(10);
    assert_eq!(case.outbox.waiting(case.now), Duration::ZERO);
    case.second_moves();
    let second = Duration::from_secs(1);
    for partition in [2, 1] {
        case.push(partition, "a").unwrap();
        case.now += second;
    }
    assert_eq!(case.outbox.waiting(case.now), 2 * second);
    let batch = case.take(B);
    assert_eq!(case.outbox.waiting(case.now), second);
    case.outbox.finish(B, Load::default(), batch);
    assert_eq!(case.outbox.waiting(case.now), 2 * second, "it must go again");
}
