//! The world that the logs are about: accounts, Regions, keys, and the people and roles in them.
//!
//! Built once from the seed; its size depends on the plan's counts, never on its events. It refuses to know time: sessions
//! change while a run goes on, everything else stays.

use super::Plan;
use super::dice::Dice;
use super::identity::{Kind, Principal, Trust};
use super::key::{Key, Spec};
use super::oddities::PEOPLE;
use super::services::SERVICE_PRINCIPALS;

/// The Regions that a plan can ask for, in this order.
pub(super) const REGIONS: [&str; 8] = [
    "eu-central-1",
    "us-east-1",
    "eu-west-1",
    "us-west-2",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
    "ca-central-1",
];
/// Applications: the first word of keys, roles, buckets and tables.
pub(super) const APPS: [&str; 20] = [
    "orders",
    "payments",
    "ledger",
    "catalog",
    "search",
    "mobile-api",
    "billing",
    "analytics",
    "reporting",
    "identity",
    "fraud",
    "shipping",
    "inventory",
    "crm",
    "warehouse",
    "etl",
    "media",
    "notify",
    "audit",
    "hr-portal",
];
const DUTIES: [&str; 6] = ["api", "worker", "batch", "lambda", "task", "reader"];
/// More accounts than this would make paths, not questions.
const ACCOUNTS_MAX: u32 = 200;

/// One account in one Region: where objects are delivered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) account: usize,
    pub(super) region: usize,
}

/// The places, people and keys that the incidents are about; the background leaves them alone, but for the pay office.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    /// `alias/payroll`: also used by its own application.
    pub(super) payroll_key: usize,
    pub(super) payroll_app: usize,
    pub(super) archive_key: usize,
    pub(super) archive_app: usize,
    pub(super) exchange_key: usize,
    pub(super) exchange_app: usize,
    pub(super) thief: usize,
    pub(super) stepping_stone: usize,
    pub(super) stolen_role: usize,
    pub(super) key_admin: usize,
    pub(super) outsider: usize,
}

/// Everything that stays the same during a run, and everybody.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) accounts: Vec<String>,
    pub(super) organization: String,
    pub(super) regions: Vec<&'static str>,
    /// The background's lanes; the outsiders' lane comes after them.
    pub(super) lanes: Vec<Lane>,
    pub(super) outside_lane: usize,
    pub(super) keys: Vec<Key>,
    pub(super) principals: Vec<Principal>,
    pub(super) cast: Cast,
}

impl World {
    /// The world of a plan, and the dice as they lie then.
    pub(super) fn build(plan: &Plan) -> (Self, Dice) {
        let mut dice = Dice::new(plan.seed);
        let own = plan.accounts.clamp(1, ACCOUNTS_MAX) as usize;
        let accounts: Vec<String> = (0..=own).map(|n| format!("{}{}", 1 + n % 9, dice.digits(11))).collect();
        let regions = REGIONS[..(plan.regions.max(1) as usize).min(REGIONS.len())].to_vec();
        let mut lanes: Vec<Lane> =
            (0..own).flat_map(|account| (0..regions.len()).map(move |region| Lane { account, region })).collect();
        let outside_lane = lanes.len();
        lanes.push(Lane { account: own, region: 0 });
        let mut builder = Builder { accounts, regions, keys: Vec::new(), principals: Vec::new(), dice };
        builder.background_keys(&lanes[..outside_lane], plan.keys.max(1) as usize);
        for account in 0..own {
            builder.fixed_cast(account);
        }
        builder.people_and_workloads(own, plan.principals.max(1) as usize);
        let cast = builder.incident_cast(own);
        let Builder { accounts, regions, keys, principals, mut dice } = builder;
        let organization = format!("o-{}", dice.hex(10));
        (Self { accounts, organization, regions, lanes, outside_lane, keys, principals, cast }, dice)
    }

    pub(super) fn region(&self, lane: usize) -> &'static str {
        self.regions[self.lanes[lane].region]
    }

    /// The organization's accounts; the outsider's comes last of all.
    pub(super) fn own_accounts(&self) -> &[String] {
        &self.accounts[..self.accounts.len().saturating_sub(1)]
    }

    pub(super) fn account(&self, lane: usize) -> &str {
        &self.accounts[self.lanes[lane].account]
    }

    /// The lane of an account in a Region; the outsiders have one Region only.
    pub(super) fn lane_of(&self, account: usize, region: usize) -> usize {
        self.lanes.iter().position(|lane| *lane == Lane { account, region }).unwrap_or(self.outside_lane)
    }
}

struct Builder {
    accounts: Vec<String>,
    regions: Vec<&'static str>,
    keys: Vec<Key>,
    principals: Vec<Principal>,
    dice: Dice,
}

impl Builder {
    /// Keys go round the lanes; the n-th key of each lane is of the same sort.
    fn background_keys(&mut self, lanes: &[Lane], count: usize) {
        let shared: Vec<String> = (0..lanes.len()).map(|_| self.dice.hex(32)).collect();
        for number in 0..count {
            let (lane, nth) = (lanes[number % lanes.len()], number / lanes.len());
            let app = APPS[(number * 7 + nth) % APPS.len()];
            let even = (number % lanes.len()).is_multiple_of(2);
            let (alias, spec, id) = match nth % 12 {
                1 => ("alias/aws/ebs".to_owned(), Spec::Symmetric, None),
                3 if even => (format!("alias/{app}-signing"), Spec::Signing, None),
                3 => (format!("alias/{app}-mac"), Spec::Mac, None),
                4 => (format!("alias/{app}-mrk"), Spec::Symmetric, Some(format!("mrk-{}", shared[lane.account]))),
                5 if even => (format!("alias/{app}-agreement"), Spec::Agreement, None),
                5 => (format!("alias/{app}-kem"), Spec::Encapsulation, None),
                _ => (format!("alias/{app}-{nth}"), Spec::Symmetric, None),
            };
            // A multi-Region key's id is taken once per Region; the next round makes single-Region keys.
            let id = id.filter(|_| nth == 4);
            self.key(lane, &alias, spec, id);
        }
    }

    fn key(&mut self, lane: Lane, alias: &str, spec: Spec, id: Option<String>) -> usize {
        let id = id.unwrap_or_else(|| self.dice.guid().to_string());
        let account = &self.accounts[lane.account];
        let arn = format!("arn:aws:kms:{}:{account}:key/{id}", self.regions[lane.region]);
        let resource = format!(r#"[{{"accountId":"{account}","type":"AWS::KMS::Key","ARN":"{arn}"}}]"#).into_bytes();
        self.keys.push(Key {
            arn,
            id,
            account: lane.account,
            region: lane.region,
            alias: alias.to_owned(),
            spec,
            material_id: self.dice.hex(64),
            aws_managed: alias.starts_with("alias/aws/"),
            resource,
        });
        self.keys.len() - 1
    }

    fn principal(&mut self, kind: Kind, account: usize, name: &str) -> usize {
        let account_id = self.accounts[account].clone();
        self.principals.push(Principal::new(kind, account, &account_id, name, &mut self.dice));
        self.principals.len() - 1
    }

    fn role(&mut self, account: usize, path: &str, name: &str, trust: Trust) -> usize {
        self.principal(Kind::Role { path: path.to_owned(), trust }, account, name)
    }

    /// Who is in every account: its root, the services, and one of each rarer kind of identity.
    fn fixed_cast(&mut self, account: usize) {
        let id = self.accounts[account].clone();
        self.principal(Kind::Root, account, "root");
        self.principal(Kind::KmsInternal, account, "kms");
        self.principal(Kind::Ec2Infrastructure, account, "ec2-infrastructure");
        for host in SERVICE_PRINCIPALS {
            self.principal(Kind::Service(host), account, host);
        }
        for (host, name) in [
            ("config.amazonaws.com", "AWSServiceRoleForConfig"),
            ("rds.amazonaws.com", "AWSServiceRoleForRDS"),
            ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"),
        ] {
            self.role(account, &format!("/aws-service-role/{host}/"), name, Trust::Service(host));
        }
        let admin_set = format!("AWSReservedSSO_AdministratorAccess_{}", self.dice.hex(16));
        self.role(account, "/aws-reserved/sso.amazonaws.com/eu-central-1/", &admin_set, Trust::Saml);
        self.role(account, "/ci/", "github-deploy", Trust::Web);
        let console_user = self.principal(Kind::ConsoleUser, account, PEOPLE[account % PEOPLE.len()]);
        let issuer = self.principals[console_user].iam_arn();
        self.principal(Kind::Federated { issuer }, account, "contractor");
        self.principal(Kind::BareRole, account, "legacy-batch");
        let store = format!("arn:aws:identitystore::{id}:identitystore/d-{}", self.dice.hex(10));
        let person = self.dice.guid().to_string();
        self.principal(Kind::IdentityCenter { store }, account, &person);
        self.principal(Kind::Directory, account, "directory");
        self.principal(Kind::Unknown, account, "unknown");
    }

    /// Mostly roles of workloads; some people with single sign-on; some users with keys.
    fn people_and_workloads(&mut self, own: usize, count: usize) {
        for number in 0..count {
            let (account, nth) = (number % own, number / own);
            let app = APPS[nth % APPS.len()];
            let name = format!("{app}-{}", DUTIES[(nth / APPS.len() + nth % APPS.len()) % DUTIES.len()]);
            let name = if nth < 120 { name } else { format!("{name}-{nth}") };
            match nth % 8 {
                3 => {
                    let set = format!("AWSReservedSSO_{}Access_{}", capital(app), self.dice.hex(16));
                    self.role(account, "/aws-reserved/sso.amazonaws.com/", &set, Trust::Saml);
                }
                6 => {
                    self.principal(Kind::User, account, &format!("svc-{name}"));
                }
                _ => {
                    let trust =
                        *self.dice.pick(&["lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "ec2.amazonaws.com"]);
                    let path = if nth.is_multiple_of(3) { "/service/" } else { "/" };
                    self.role(account, path, &name, Trust::Service(trust));
                }
            }
        }
        self.chain(own);
    }

    /// A user who becomes an analyst, who becomes a reader in the next account.
    fn chain(&mut self, own: usize) {
        for account in 0..own {
            let user = self.principal(Kind::User, account, &format!("{}-cli", PEOPLE[(account + 5) % PEOPLE.len()]));
            let analyst = self.role(account, "/people/", "data-analyst", Trust::Principal(user));
            self.role((account + 1) % own, "/shared/", "lake-reader", Trust::Principal(analyst));
        }
    }

    fn incident_cast(&mut self, own: usize) -> Cast {
        let home = Lane { account: own.min(2) - 1, region: 0 };
        let first = Lane { account: 0, region: 0 };
        let lambda = || Trust::Service("lambda.amazonaws.com");
        let thief = self.principal(Kind::User, first.account, "build-bot");
        let stepping_stone = self.role(first.account, "/ops/", "support-engineer", Trust::Principal(thief));
        let stolen_role = self.role(home.account, "/ops/", "payroll-admin", Trust::Principal(stepping_stone));
        Cast {
            payroll_key: self.key(home, "alias/payroll", Spec::Symmetric, None),
            payroll_app: self.role(home.account, "/service/", "payroll-app", lambda()),
            archive_key: self.key(first, "alias/orders-archive", Spec::Symmetric, None),
            archive_app: self.role(first.account, "/service/", "archive-reader", lambda()),
            exchange_key: self.key(first, "alias/partner-exchange", Spec::Symmetric, None),
            exchange_app: self.role(first.account, "/service/", "partner-export", lambda()),
            thief,
            stepping_stone,
            stolen_role,
            key_admin: self.role(first.account, "/ops/", "cost-cleanup", Trust::Saml),
            outsider: self.role(own, "/", "partner-sync", Trust::Service("ec2.amazonaws.com")),
        }
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
