//! Commands of a simulated agent: they take their time, tell of it, and come to a good end unless they are cancelled.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use roadstead_protocol::message::command::{Order, Outcome, ServiceOutcome, ServiceResult, Standing, Work};
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::progress::{Progress, ProgressLine, Step, StepState};
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::{Instant, sleep_until};

/// Commands that are remembered after their end.
const REMEMBERED: usize = 64;

/// The commands of one agent.
#[derive(Debug)]
pub(super) struct Commands {
    /// From one line to the next.
    pace: Duration,
    lines: u64,
    running: BTreeMap<CommandId, Running>,
    ended: VecDeque<(CommandId, Vec<ProgressLine>)>,
}

#[derive(Debug)]
struct Running {
    since: UnixMicros,
    work: Work,
    told: Vec<ProgressLine>,
    next: Instant,
    cancelled: bool,
}

/// What a command says next.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) line: ProgressLine,
    /// How it ended, if this was its last line.
    pub(super) outcome: Option<(CommandId, Outcome)>,
}

impl Commands {
    /// With commands that take so long and tell so many lines.
    pub(super) fn new(takes: Duration, lines: usize) -> Self {
        let lines = lines.max(1) as u64;
        let pace = takes.div_f64(f64::from(u32::try_from(lines).unwrap_or(u32::MAX)));
        Self { pace, lines, running: BTreeMap::new(), ended: VecDeque::new() }
    }

    /// Begins an order, unless it is known already. Whether it was new, and where it stands.
    pub(super) fn order(&mut self, order: Order) -> (bool, Standing) {
        let known = self.standing(order.id);
        if known != Standing::NeverSeen {
            return (false, known);
        }
        let since = UnixMicros::now();
        let next = Instant::now() + self.pace;
        let running = Running { since, work: order.work, told: Vec::new(), next, cancelled: false };
        self.running.insert(order.id, running);
        (true, Standing::Running { since })
    }

    /// Lets a command end with its next line, which comes at once.
    pub(super) fn cancel(&mut self, id: CommandId) {
        if let Some(running) = self.running.get_mut(&id) {
            running.cancelled = true;
            running.next = Instant::now();
        }
    }

    /// Where a command stands.
    pub(super) fn standing(&self, id: CommandId) -> Standing {
        match self.running.get(&id) {
            Some(running) => Standing::Running { since: running.since },
            None if self.ended.iter().any(|(ended, _)| *ended == id) => Standing::Ended,
            None => Standing::NeverSeen,
        }
    }

    /// The lines that a command has told, from `next_line` on.
    pub(super) fn lines(&self, id: CommandId, next_line: u64) -> Vec<ProgressLine> {
        let ended = || self.ended.iter().find(|(ended, _)| *ended == id).map(|(_, lines)| lines);
        let told = self.running.get(&id).map(|running| &running.told).or_else(ended);
        told.into_iter().flatten().filter(|line| line.line >= next_line).cloned().collect()
    }

    /// What is said next. Cancel safe.
    pub(super) async fn next(&mut self) -> Said {
        let next = self.running.iter().min_by_key(|(_, running)| running.next);
        let Some((id, at)) = next.map(|(id, running)| (*id, running.next)) else {
            return std::future::pending().await;
        };
        sleep_until(at).await;
        self.say(id)
    }

    #[expect(clippy::expect_used, reason = "only said of one that runs")]
    fn say(&mut self, id: CommandId) -> Said {
        let running = self.running.get_mut(&id).expect("a running command");
        let number = running.told.len() as u64;
        let last = running.cancelled || number + 1 >= self.lines;
        let entry = entry(number, self.lines, last);
        let line = ProgressLine { command: id, line: number, at: UnixMicros::now(), entry };
        running.told.push(line.clone());
        running.next += self.pace;
        let mut outcome = None;
        if last && let Some(running) = self.running.remove(&id) {
            outcome = Some((id, running.outcome()));
            self.ended.push_back((id, running.told));
            if self.ended.len() > REMEMBERED {
                self.ended.pop_front();
            }
        }
        Said { line, outcome }
    }
}

impl Running {
    fn outcome(&self) -> Outcome {
        if self.cancelled {
            return Outcome::Cancelled { summary: "Stopped on request.".to_owned(), services: Vec::new() };
        }
        let service = |sync| ServiceOutcome {
            service: sync,
            image: "registry.example/shop/api:4.12.0".to_owned(),
            before: Some(format!("sha256:{}", "a".repeat(64))),
            after: Some(format!("sha256:{}", "b".repeat(64))),
            result: ServiceResult::Updated,
            reason: None,
            log_tail: Vec::new(),
        };
        let services = match &self.work {
            Work::Sync(sync) => vec![service(sync.services.first().cloned().unwrap_or("api".to_owned()))],
            _ => Vec::new(),
        };
        Outcome::Succeeded { summary: "Done.".to_owned(), services }
    }
}

fn entry(number: u64, lines: u64, last: bool) -> Progress {
    if number == 0 && !last {
        return Progress::Plan {
            strategy: None,
            why: "a simulated command".to_owned(),
            services: Vec::new(),
        };
    }
    if last {
        let (step, state) = (Step::Verify, StepState::Done);
        return Progress::Step { step, service: None, state, detail: String::new() };
    }
    Progress::Layer {
        service: Some("api".to_owned()),
        image: "registry.example/shop/api:4.12.0".to_owned(),
        layer: "3f4ca61aafcd".to_owned(),
        status: "Downloading".to_owned(),
        done_bytes: number << 20,
        total_bytes: Some(lines << 20),
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::command::ContainerAction;

    use super::*;

    fn order() -> Order {
        let work = Work::Container { container: "web".to_owned(), action: ContainerAction::Restart };
        Order { id: CommandId::generate(), work, deadline_secs: 60 }
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_runs_once_takes_its_time_and_is_remembered() {
        let (mut commands, order) = (Commands::new(Duration::from_secs(3), 3), order());
        assert!(commands.order(order.clone()).0);
        assert!(!commands.order(order.clone()).0);
        let began = Instant::now();
        for line in 0..3 {
            let said = commands.next().await;
            assert_eq!((said.line.line, said.outcome.is_some()), (line, line == 2));
        }
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert_eq!(commands.standing(order.id), Standing::Ended);
        assert_eq!(commands.lines(order.id, 1).len(), 2);
        assert_eq!(commands.standing(CommandId::generate()), Standing::NeverSeen);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_command_says_so_at_once() {
        let (mut commands, order) = (Commands::new(Duration::from_secs(60), 10), order());
        commands.order(order.clone());
        commands.cancel(order.id);
        let began = Instant::now();
        let said = commands.next().await;
        assert!(matches!(said.outcome, Some((id, Outcome::Cancelled { .. })) if id == order.id));
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}
