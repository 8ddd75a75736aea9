// @generated from the OpenAPI document by `npm run schema`. Do not edit.
export interface paths {
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The front page of the UI; if the controller was built without it, a page that says how to build it. */
        get: operations["front_page"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/account": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One's own account. */
        get: operations["own_account"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/account/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Change one's password. Every other session of the account ends; API tokens stay. */
        post: operations["change_password"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/account/recovery-codes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Replace one's recovery codes. */
        post: operations["renew_recovery_codes"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/account/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Begin to set up a second factor. It counts once its first code is confirmed. */
        post: operations["begin_second_factor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/account/second-factor/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Confirm a second factor by its first code. Answers with recovery codes. */
        post: operations["confirm_second_factor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/account/second-factor/remove": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take one's second factor away. */
        post: operations["remove_second_factor"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who did what, when, from where: newest first. */
        get: operations["audit_log"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/audit/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The whole audit log, oldest first, as a file. Each entry holds the hash of the one before it and its own. */
        get: operations["export_audit_log"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/commands": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Commands, newest first. */
        get: operations["list_commands"];
        put?: never;
        /** Do the same on many hosts: act on a container, or check a project. Syncs of many hosts are rollouts. */
        post: operations["order_many"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/commands/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One command. */
        get: operations["one_command"];
        put?: never;
        post?: never;
        /** Cancel a command: it stops at its next safe point; one that was not sent yet ends at once. */
        delete: operations["cancel_command"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/commands/{id}/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A command's log: the lines stored so far. With `Accept: text/event-stream` it follows: each line an event `line`
         *     whose id is the line's number (`Last-Event-ID` resumes after it), at last an event `end` with the command.
         */
        get: operations["command_log"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/config/reload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Read the configuration again: what can change while the controller runs does, the rest is named. So does SIGHUP. */
        post: operations["reload_config"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/containers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Containers of all instances, a page at a time: enough of each to find it. GET /api/instances/{id}/containers has the
         *     rest.
         */
        get: operations["find_containers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/containers/all": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every container of all instances as a stream, one JSON object a line: each as it is when its line is written. */
        get: operations["all_containers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/controller/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The controller's keys. */
        get: operations["controller_keys"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/controller/rotate-key": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make the controller a new key. Agents learn it by their sessions; the earlier one counts until they all have. */
        post: operations["rotate_controller_key"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Events, newest first. */
        get: operations["list_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/guest-login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Look around without an account, where the demo mode is on: sets the session cookie. */
        post: operations["log_in_guest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every instance, by name. */
        get: operations["list_instances"];
        put?: never;
        /** Register an instance: answers with a join token and ready-to-paste commands for its host. */
        post: operations["register_instance"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One instance. */
        get: operations["one_instance"];
        put?: never;
        post?: never;
        /** Unregister an instance: ends its link and refuses its agent from then on. The host itself is not touched. */
        delete: operations["remove_instance"];
        options?: never;
        head?: never;
        /** Change an instance's name, address, description, environment or tags. */
        patch: operations["change_instance"];
        trace?: never;
    };
    "/api/instances/{id}/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Find out, without changing anything, whether a compose project's images are current. */
        post: operations["check"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/containers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The containers of an instance, with the age of what is shown. Asking has its agent sample figures for the next
         *     half minute. What looks secret is masked for whoever may only look.
         */
        get: operations["list_containers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/containers/{container}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everything about one container, asked of its agent now. What looks secret is masked. */
        get: operations["one_container"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/containers/{container}/lifecycle": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The life of a container, as far back as its newest 32 facts go: what it was, why, and from when until when. A
         *     container that was removed is remembered for a day, by its whole id.
         */
        get: operations["container_lifecycle"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/containers/{container}/{action}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Start, stop, restart, kill, pause, unpause or remove a container. */
        post: operations["act_on_container"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Check an instance now, through its link: agent, engine, latency. */
        get: operations["instance_health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/install": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Install a container: pull its image, create and start it, wait until it is ready. */
        post: operations["install"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/lifecycles": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What each container of an instance was from a time on until now, also those that are gone: as far back as the event
         *     log goes, or its newest 10,000 events about containers of the instance.
         */
        get: operations["instance_lifecycles"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/projects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The compose projects of an instance: their services, how their containers are, and where each is in its life. */
        get: operations["list_projects"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/reinstall": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Pull a container's image and recreate the container with the same configuration. */
        post: operations["reinstall"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/rotate-key": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask an agent to make itself a new key. It comes back with it by itself; the present one counts until it has. */
        post: operations["rotate_agent_key"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/instances/{id}/sync": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sync a compose project: pull its images, restart what changed, verify it. */
        post: operations["sync"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/join-tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Join tokens that are or were of use lately. */
        get: operations["list_join_tokens"];
        put?: never;
        /** Make a join token. It is shown once. */
        post: operations["make_join_token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/join-tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke a join token. An instance that has joined with it stays. */
        delete: operations["revoke_join_token"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the fleet. Server-sent events: `view` (everything), then `instance`, `containers` {instance, whole, upsert,
         *     remove}, `figures` {instance, samples}, `removed` {instance}, `command`, `progress` {command, instance, lines},
         *     `rollout` {rollout, steps} and `event` as things change. A `view` may come again at any time and replaces everything.
         */
        get: operations["live"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Log in: sets the session cookie. */
        post: operations["log_in"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Log out: ends the session and takes the cookie back. */
        post: operations["log_out"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/oidc/begin": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begin to sign in at the provider: answers where to go. Sets a cookie, by which this browser alone can finish within
         *     ten minutes.
         */
        post: operations["begin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/oidc/finish": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Finish to sign in at the provider: sets the session cookie. */
        post: operations["finish"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The description of this API. */
        get: operations["openapi_document"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/rollouts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The newest rollouts, newest first, without their steps. */
        get: operations["list_rollouts"];
        put?: never;
        /** Sync many hosts, batch after batch. 202 with the rollout; with `dry_run` 200 with what it would do. */
        post: operations["start_rollout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/rollouts/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One rollout with its steps. */
        get: operations["one_rollout"];
        put?: never;
        post?: never;
        /**
         * Stop a rollout: no further step begins, what waits for an absent agent is withdrawn, and what an agent has begun
         *     runs to its end (each can be cancelled by itself).
         */
        delete: operations["stop_rollout"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is logged in. */
        get: operations["session"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Web sessions that are open: one's own; administrators may ask for another user's. */
        get: operations["list_sessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** End a web session: one's own; administrators may end anybody's. Streams that it opened end within ten seconds. */
        delete: operations["revoke_session"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** API tokens: one's own; administrators may ask for everybody's. */
        get: operations["list_tokens"];
        put?: never;
        /** Make an API token for oneself. It may never do more than one may oneself, and ends with one's account. */
        post: operations["make_token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke an API token: one's own; administrators may revoke anybody's. */
        delete: operations["revoke_token"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every user. */
        get: operations["list_users"];
        put?: never;
        /** Make a user. */
        post: operations["add_user"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One user. */
        get: operations["one_user"];
        put?: never;
        post?: never;
        /** Remove a user with every session and API token. The last administrator stays. */
        delete: operations["remove_user"];
        options?: never;
        head?: never;
        /**
         * Change a user's role or tags, or keep the user out. It counts from the next request on. The last administrator
         *     stays one.
         */
        patch: operations["change_user"];
        trace?: never;
    };
    "/api/users/{name}/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give another user a new password. Every session of the user ends; API tokens and the second factor stay. Not for who
         *     signs in at a provider.
         */
        post: operations["set_password"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/{name}/second-factor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Take another user's second factor away: for who has lost it, and the recovery codes. */
        delete: operations["reset_second_factor"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the controller works: its store answers. */
        get: operations["controller_health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Figures for Prometheus, about every instance. ROADSTEAD_METRICS_OPEN lets anybody read them. */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A command of one host. */
        AcceptedOne: {
            /** @description The command. */
            command_id: string;
            /** @description Where. */
            instance: string;
        };
        /** @description A command that was accepted: the command itself, and how to follow it. */
        AcceptedView: components["schemas"]["CommandView"] & {
            /** @description Its id once more, by a name that says whose. */
            command_id: string;
            /** @description Where to follow its log. */
            log: string;
        };
        /** @description How to act on a container. */
        ActionRequest: {
            queue_for?: components["schemas"]["Span"] | null;
        };
        /** @description An API token, without its secret. */
        ApiTokenView: {
            /** @description When it was made. */
            created_at: components["schemas"]["Time"];
            expires_at?: components["schemas"]["Time"] | null;
            /** @description Its id. */
            id: string;
            /** @description these instances; both empty for all that its user sees. */
            instances: string[];
            /** @description From where it was last used. */
            last_address?: string | null;
            last_used?: components["schemas"]["Time"] | null;
            /** @description Its name. */
            name: string;
            /** @description The most it may do. */
            scope: components["schemas"]["ScopeView"];
            /** @description It sees and acts on instances with one of these tags, and */
            tags: string[];
            /** @description Whose token. */
            user: string;
        };
        /** @description API tokens, by user and name. */
        ApiTokensView: {
            /** @description The tokens. */
            tokens: components["schemas"]["ApiTokenView"][];
        };
        /** @description What became of the declared agents. */
        AppliedView: {
            /** @description Changed just now. */
            changed: string[];
            /** @description Those that cannot be as declared. */
            failed: components["schemas"]["FailedView"][];
            /** @description Registered just now. */
            registered: string[];
            /** @description No longer declared; they stay until they are removed. */
            released: string[];
            /** @description As they were. */
            unchanged: string[];
        };
        /** @description One entry. */
        AuditEntryView: {
            /** @description From which network address. */
            address?: string | null;
            /** @description Its place in the chain, to be noted elsewhere: `id:hash`. */
            anchor: string;
            /** @description When. */
            at: components["schemas"]["Time"];
            /** @description The command that it is about; how that ended is at `/api/commands/{id}`. */
            command?: string | null;
            /** @description More, for a person to read. */
            detail?: string | null;
            /**
             * Format: int64
             * @description Its place in the log, ascending.
             */
            id: number;
            /** @description `ok`, `refused` or `failed`. */
            result: string;
            /** @description To what. */
            target?: string | null;
            /** @description What was done or asked. */
            what: string;
            /** @description Who: a user's name, or what was claimed at login. */
            who: string;
        };
        /** @description Entries of the audit log, newest first. */
        AuditView: {
            /** @description The entries. */
            entries: components["schemas"]["AuditEntryView"][];
            /**
             * Format: int64
             * @description The cursor of the next page; none if this is the last.
             */
            next?: number | null;
        };
        /** @description A wish to sign in at the provider. */
        BeginRequest: {
            /** @description The page of the UI to come back to, as a path; the front page if left out. */
            to?: string | null;
        };
        /** @description Where to sign in. */
        BegunView: {
            /** @description The provider's page, to which the browser goes. */
            location: string;
        };
        /** @description What to change about an instance: what is left out stays as it is. */
        ChangeRequest: {
            /** @description New description. */
            description?: string | null;
            /** @description New environment label, or `null` for none. */
            environment?: string | null;
            /** @description New name. */
            name?: string | null;
            /** @description New tags. */
            tags?: string[] | null;
            /** @description New address to dial; `null` if the agent is to dial from now on. */
            url?: string | null;
        };
        /** @description A check to do. */
        CheckRequest: {
            /** @description The compose project; may be left out where the host has only one. */
            project?: string | null;
            queue_for?: components["schemas"]["Span"] | null;
        };
        /** @description The first code of a second factor. */
        CodeRequest: {
            /** @description The code that the app shows. */
            code: string;
        };
        /**
         * @description Where a command stands; `succeeded`, `failed`, `cancelled` and `lost` are final.
         * @enum {string}
         */
        CommandStateView: "issued" | "sent" | "running" | "succeeded" | "failed" | "cancelled" | "lost";
        /** @description One command of the ledger. */
        CommandView: {
            /**
             * Format: double
             * @description How long ago, in seconds.
             */
            age_seconds: number;
            /** @description Whether somebody asked to cancel it. */
            cancel_requested: boolean;
            /**
             * Format: int32
             * @description The agent gives up after so many seconds.
             */
            deadline_secs: number;
            /** @description Whether that can never change again. */
            ended: boolean;
            ended_at?: components["schemas"]["Time"] | null;
            /** @description Its identity. */
            id: string;
            /** @description Where it runs. */
            instance: string;
            /** @description When. */
            issued_at: components["schemas"]["Time"];
            /** @description Who asked. */
            issued_by: string;
            outcome?: components["schemas"]["Outcome"] | null;
            queue_until?: components["schemas"]["Time"] | null;
            /** @description Why it ended, where the outcome does not say. */
            reason?: string | null;
            sent_at?: components["schemas"]["Time"] | null;
            started_at?: components["schemas"]["Time"] | null;
            /** @description Where it stands. */
            state: components["schemas"]["CommandStateView"];
            /** @description What was asked. */
            work: components["schemas"]["Work"];
        };
        /** @description Commands, newest first. */
        CommandsView: {
            /** @description The commands. */
            commands: components["schemas"]["CommandView"][];
            /** @description The cursor of the next page; none if this is the last. */
            next?: string | null;
        };
        /**
         * @description An action on one container.
         * @enum {string}
         */
        ContainerAction: "start" | "stop" | "restart" | "kill" | "pause" | "unpause" | "remove" | "unknown";
        /** @description How many containers a host has in each state, and of how many the health check fails (`unhealthy`). */
        ContainerCounts: {
            created: number;
            dead: number;
            exited: number;
            paused: number;
            removing: number;
            restarting: number;
            running: number;
            total: number;
            unhealthy: number;
            unknown: number;
        };
        /** @description Everything about one container, as its engine answered just now. */
        ContainerDetailsView: {
            /** @description When the agent answered. */
            as_of: components["schemas"]["Time"];
            /** @description Its arguments. */
            command: string[];
            /**
             * Format: double
             * @description Processors it may use; none if unlimited.
             */
            cpu_limit?: number | null;
            /** @description Program that is run, as an argument vector. */
            entrypoint: string[];
            /**
             * @description Environment; a value that looks secret is none unless the agent's owner allows `view-env` and the reader may
             *     change things.
             */
            env: components["schemas"]["Setting"][];
            /** @description What its health check runs; empty without one. */
            health_check: string[];
            /** @description The last results of its health check, oldest first. */
            health_log: components["schemas"]["HealthEntryView"][];
            /** @description Host name within the container. */
            hostname: string;
            /** @description The engine's full id. */
            id: string;
            /** @description `name@sha256:…` for each repository its image was pulled from. */
            image_digests: string[];
            /** @description Digest of its image's configuration. */
            image_id: string;
            /** @description Which instance. */
            instance: string;
            /** @description Labels, by name; masked like the environment. */
            labels: components["schemas"]["Setting"][];
            /**
             * Format: int64
             * @description Memory limit in bytes; none if unlimited.
             */
            memory_limit_bytes?: number | null;
            /** @description What is mounted. */
            mounts: components["schemas"]["MountDetails"][];
            /** @description Networks with the container's addresses there. */
            networks: components["schemas"]["NetworkDetails"][];
            /** @description What it has of its host beyond what a plain container has, in words. */
            privileges: string[];
            /**
             * Format: int64
             * @description Processes it may have; none if unlimited.
             */
            process_limit?: number | null;
            /** @description Restart policy. */
            restart_policy: string;
            /**
             * Format: int32
             * @description How often `on-failure` tries; 0 for ever.
             */
            restart_retries: number;
            /** @description Whether something was left out or cut because it was too large to send. */
            truncated: boolean;
            /** @description User it runs as; empty for root. */
            user: string;
            /** @description Folder it runs in; empty for the image's root. */
            working_dir: string;
        };
        /**
         * @description Result of a container's health check.
         * @enum {string}
         */
        ContainerHealth: "none" | "starting" | "healthy" | "unhealthy" | "unknown";
        /** @description One container among those of all instances. Nothing in it can be secret. */
        ContainerRow: {
            /** @description Compose project it belongs to. */
            compose_project?: string | null;
            /** @description Compose service it is an instance of. */
            compose_service?: string | null;
            /**
             * Format: double
             * @description CPU use in percent of one core.
             */
            cpu_percent?: number | null;
            figures_at?: components["schemas"]["Time"] | null;
            /** @description Its whole id. */
            full_id: string;
            /** @description Result of its health check. */
            health: components["schemas"]["ContainerHealth"];
            /** @description Image reference it was created with. */
            image: string;
            /** @description Id of its instance. */
            instance: string;
            /** @description Name of its instance. */
            instance_name: string;
            /**
             * Format: double
             * @description Memory in use, in MiB.
             */
            memory_mb?: number | null;
            /** @description Its name. */
            name: string;
            /** @description Whether its host may differ from this by now. */
            stale: boolean;
            /** @description State in the engine's own word. */
            state: components["schemas"]["ContainerState"];
        };
        /**
         * @description State of a container in the engine's own words.
         * @enum {string}
         */
        ContainerState: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead" | "unknown";
        /** @description One container. */
        ContainerView: {
            /**
             * Format: int64
             * @description Read from block devices since it started, in bytes.
             */
            block_read_bytes?: number | null;
            /**
             * Format: int64
             * @description Written to block devices since it started, in bytes.
             */
            block_write_bytes?: number | null;
            /** @description Command line. */
            command: string;
            /** @description Compose project it belongs to. */
            compose_project?: string | null;
            /** @description Compose service it is an instance of. */
            compose_service?: string | null;
            /**
             * Format: double
             * @description CPU use in percent of one core.
             */
            cpu_percent?: number | null;
            /** @description When it was created. */
            created_at: components["schemas"]["Time"];
            /**
             * Format: int64
             * @description Exit code of the last run, if it does not run.
             */
            exit_code?: number | null;
            figures?: components["schemas"]["FiguresAge"] | null;
            finished_at?: components["schemas"]["Time"] | null;
            /** @description Its whole id. */
            full_id: string;
            /** @description Result of its health check. */
            health: components["schemas"]["ContainerHealth"];
            /** @description The first twelve characters of its id. */
            id: string;
            /** @description Image reference it was created with. */
            image: string;
            /** @description Digest of the image's configuration. */
            image_id: string;
            /** @description Its labels. */
            labels: {
                [key: string]: string;
            };
            /** @description Whether labels were left out because they were too large. */
            labels_truncated: boolean;
            /** @description Where it is in its life. */
            lifecycle: components["schemas"]["LifecycleView"];
            /**
             * Format: double
             * @description Memory limit, in MiB; none if unlimited or not sampled.
             */
            memory_limit_mb?: number | null;
            /**
             * Format: double
             * @description Memory in use, in MiB.
             */
            memory_mb?: number | null;
            /** @description Volumes and host paths mounted in it. */
            mounts: string[];
            /** @description Its name. */
            name: string;
            /**
             * Format: int64
             * @description Received since it started, in bytes.
             */
            network_rx_bytes?: number | null;
            /**
             * Format: int64
             * @description Sent since it started, in bytes.
             */
            network_tx_bytes?: number | null;
            /** @description Networks it is attached to. */
            networks: string[];
            /** @description Whether the last run ended for want of memory. */
            oom_killed: boolean;
            /** @description Ports, published or not. */
            ports: components["schemas"]["Port"][];
            /** @description Its restart policy. */
            restart_policy: string;
            started_at?: components["schemas"]["Time"] | null;
            /** @description State in the engine's own word. */
            state: components["schemas"]["ContainerState"];
            /** @description As `docker ps` says it (`Up 3 minutes (healthy)`), as of the picture. */
            status: string;
            /**
             * Format: int64
             * @description For how long it has been up, as of the picture; none if it is not.
             */
            uptime_seconds?: number | null;
        };
        /** @description Containers of an instance changed. */
        ContainersChange: {
            /** @description Which instance. */
            instance: string;
            /** @description Whole ids of those that are gone. */
            remove: string[];
            /** @description New or changed containers. */
            upsert: components["schemas"]["ContainerView"][];
            /** @description Whether `upsert` is all there is now. */
            whole: boolean;
        };
        /** @description Containers of all instances, by instance and id: an order that stands while they change. */
        ContainersPage: {
            /** @description The containers. */
            containers: components["schemas"]["ContainerRow"][];
            /** @description The cursor of the next page; none if this is the last. */
            next?: string | null;
        };
        /** @description The containers of one instance, with the age of the picture they are from. */
        ContainersView: {
            as_of?: components["schemas"]["Time"] | null;
            /**
             * Format: double
             * @description Age of the picture, in seconds.
             */
            as_of_age_seconds?: number | null;
            /** @description The containers, by name. */
            containers: components["schemas"]["ContainerView"][];
            /** @description Whose containers. */
            instance: string;
            /** @description How the agent is connected. */
            link: components["schemas"]["LinkView"];
            /** @description Whether the host may differ from the picture by now. */
            stale: boolean;
        };
        /** @description That the controller works. */
        ControllerHealthView: {
            /** @description `ok`; anything else is a problem document. */
            status: string;
            /** @description Version of the controller. */
            version: string;
        };
        /** @description The keys by which agents know the controller. */
        ControllerKeysView: {
            /** @description The one that it replaces, which counts until every agent knows the newest, and for at least seven days. */
            earlier?: string | null;
            /** @description Fingerprint of the newest. */
            key: string;
            /** @description Since when it is there. */
            since: components["schemas"]["Time"];
            /** @description Agents that have not confirmed the newest yet. */
            waiting_for: number;
        };
        /** @description How many containers have each lifecycle status. */
        CountsView: {
            /** @description Not as they should be. */
            failed: number;
            /** @description On their way to being of use. */
            installing: number;
            /** @description Of use. */
            ready: number;
            /** @description Stopped or frozen. */
            stopped: number;
            /** @description All of them. */
            total: number;
        };
        /**
         * @description Who dials.
         * @enum {string}
         */
        DirectionView: "outbound" | "inbound";
        /** @description A Docker engine, as last heard. */
        EngineView: {
            /** @description Newest API version it speaks. */
            api_version?: string | null;
            /**
             * Format: int32
             * @description Number of processors of the host.
             */
            cpus?: number | null;
            /**
             * Format: int64
             * @description Memory of the host, in bytes.
             */
            memory_bytes?: number | null;
            /** @description The host's operating system. */
            os?: string | null;
            /** @description Whether it answers its agent. */
            reachable: boolean;
            /** @description Why it does not. */
            reason?: string | null;
            /** @description Since when it is so. */
            since: components["schemas"]["Time"];
            /** @description Its version. */
            version?: string | null;
        };
        /** @description What happened. */
        EventKind: {
            /** @description The engine's word: `create`, `start`, `die`, `destroy`, `health_status: healthy`, … */
            action: string;
            /** @description What the engine added that matters (`exitCode`, `signal`, compose project and service). */
            attributes?: {
                [key: string]: string;
            };
            /** @description Which container. */
            id: string;
            /** @description Its image reference then. */
            image?: string;
            /** @description Found by comparing lists, not told by the engine: `at` is when it was noticed. */
            inferred?: boolean;
            /** @enum {string} */
            kind: "container";
            /** @description Its name then. */
            name: string;
        } | {
            /** @description The engine's word. */
            action: string;
            /** @description Name or id of the object. */
            id: string;
            /** @enum {string} */
            kind: "engine";
            /** @description `image`, `network`, `volume`, `daemon`, … */
            object: string;
        } | {
            /** @enum {string} */
            kind: "engine_lost";
            /** @description Why, for a person to read. */
            reason: string;
        } | {
            /** @enum {string} */
            kind: "engine_found";
            /** @description Its version. */
            version: string;
        } | {
            /** @enum {string} */
            kind: "agent_started";
            /** @description Its version. */
            version: string;
        } | {
            /** @description Which. */
            command: string;
            /** @enum {string} */
            kind: "command_ended";
            /** @description How. */
            outcome: components["schemas"]["Outcome"];
        } | {
            /** @description Which. */
            command: string;
            /** @enum {string} */
            kind: "refused";
            /** @description The limit that refused it and where that is written; none where the verb itself is not allowed. */
            rule?: string | null;
            /** @description The verb it would have needed. */
            verb: string;
            /** @description What was asked, in words. */
            what: string;
        } | {
            /**
             * Format: int64
             * @description How many events are missing.
             */
            count: number;
            /**
             * Format: int64
             * @description First sequence number that is missing.
             */
            from: number;
            /** @enum {string} */
            kind: "gap";
            /** @description Why. */
            reason: string;
            /**
             * Format: int64
             * @description Last sequence number that is missing.
             */
            to: number;
        } | {
            /** @enum {string} */
            kind: "unknown";
        };
        /** @description One event of the log. */
        EventView: {
            /**
             * Format: double
             * @description How long ago that is, in seconds.
             */
            age_seconds: number;
            /** @description When it happened, by the agent's account. */
            at: components["schemas"]["Time"];
            /**
             * Format: int64
             * @description Its place in the log, ascending in order of arrival.
             */
            id: number;
            /** @description Whose event. */
            instance: string;
            /** @description Which kind of event, as the filter `kind` takes it. */
            kind: string;
            /** @description When the controller stored it. */
            received_at: components["schemas"]["Time"];
            /** @description What happened. */
            what: components["schemas"]["EventKind"];
        };
        /** @description Events, newest first. */
        EventsView: {
            /** @description The events. */
            events: components["schemas"]["EventView"][];
            /**
             * Format: int64
             * @description The cursor of the next page; none if this is the last.
             */
            next?: number | null;
        };
        /** @description A declared agent that cannot be as declared. */
        FailedView: {
            /** @description Its name. */
            name: string;
            /** @description Why. */
            reason: string;
        };
        /** @description When figures were sampled. */
        FiguresAge: {
            /**
             * Format: double
             * @description How long ago, in seconds.
             */
            age_seconds: number;
            /** @description When, by the agent's clock. */
            at: components["schemas"]["Time"];
        };
        /** @description Fresh figures. */
        FiguresChange: {
            /** @description Which instance. */
            instance: string;
            /** @description The newest sample of each container. */
            samples: components["schemas"]["FiguresView"][];
        };
        /** @description Figures of one container, as they are sent to a browser that follows. */
        FiguresView: {
            /**
             * Format: double
             * @description How long ago, in seconds.
             */
            age_seconds: number;
            /** @description When they were sampled, by the agent's clock. */
            at: components["schemas"]["Time"];
            /**
             * Format: int64
             * @description Read from block devices since it started, in bytes.
             */
            block_read_bytes: number;
            /**
             * Format: int64
             * @description Written to block devices since it started, in bytes.
             */
            block_write_bytes: number;
            /**
             * Format: double
             * @description CPU use in percent of one core; none for a first sample.
             */
            cpu_percent?: number | null;
            /** @description Whole id of the container. */
            full_id: string;
            /**
             * Format: double
             * @description Memory limit, in MiB; none if unlimited.
             */
            memory_limit_mb?: number | null;
            /**
             * Format: double
             * @description Memory in use, in MiB.
             */
            memory_mb: number;
            /**
             * Format: int64
             * @description Received since it started, in bytes.
             */
            network_rx_bytes: number;
            /**
             * Format: int64
             * @description Sent since it started, in bytes.
             */
            network_tx_bytes: number;
        };
        /** @description What the provider sent the browser back with: the query of the page it came to. */
        FinishRequest: {
            /** @description The code. */
            code?: string | null;
            /** @description Why there is no code. */
            error?: string | null;
            /** @description The same, for people. */
            error_description?: string | null;
            /** @description Who answers. */
            iss?: string | null;
            /** @description Which sign-in it is about. */
            state: string;
        };
        /** @description A session that has begun. */
        FinishedView: {
            /** @description The session. */
            session: components["schemas"]["SessionView"];
            /** @description The page that was wanted, as a path. */
            to: string;
        };
        /** @description One result of a health check. */
        HealthEntryView: {
            /** @description When it ended, by the host's clock. */
            at: components["schemas"]["Time"];
            /**
             * Format: int64
             * @description Its exit code; 0 is healthy.
             */
            exit_code: number;
            /** @description The end of what it said. */
            output: string;
        };
        /**
         * @description How an instance is.
         * @enum {string}
         */
        HealthView: "healthy" | "unhealthy" | "unknown";
        /** @description A container to install. */
        InstallRequest: {
            /** @description Command, as argument vector; left out or empty means the image's own. */
            command?: string[];
            /** @description Environment. */
            env?: {
                [key: string]: string;
            };
            /** @description Image reference. */
            image: string;
            /** @description Labels. */
            labels?: {
                [key: string]: string;
            };
            /** @description Mounts, as `volume-or-host-path:container-path[:ro]`. */
            mounts?: string[];
            /** @description Name of the container. */
            name: string;
            /** @description Network to attach to; left out means the engine's default. */
            network?: string | null;
            /** @description Published ports, as `[host-ip:]host-port:container-port[/protocol]`. */
            ports?: string[];
            queue_for?: components["schemas"]["Span"] | null;
            /** @description `no`, `always`, `unless-stopped` or `on-failure`. */
            restart_policy?: string | null;
            /**
             * Format: int32
             * @description How long it may take to run and be healthy, in seconds.
             */
            verify_secs?: number | null;
        };
        /** @description A container to install. */
        InstallWork: {
            /** @description Command, as argument vector; empty means the image's own. */
            command?: string[];
            /** @description Environment. */
            env?: {
                [key: string]: string;
            };
            /** @description Image reference. */
            image: string;
            /** @description Labels. */
            labels?: {
                [key: string]: string;
            };
            /** @description Mounts, as `volume-or-host-path:container-path[:ro]`. */
            mounts?: string[];
            /** @description Name of the container. */
            name: string;
            /** @description Network to attach to; none means the engine's default. */
            network?: string | null;
            /** @description Published ports, as `[host-ip:]host-port:container-port[/protocol]`. */
            ports?: string[];
            /** @description Restart policy: `no`, `always`, `unless-stopped`, `on-failure`. */
            restart_policy?: string | null;
            /**
             * Format: int32
             * @description How long it may take to be running, and healthy if it has a health check, in seconds.
             */
            verify_secs?: number;
        };
        /** @description What a check found just now. */
        InstanceHealthView: {
            /** @description When the check ended. */
            checked_at: components["schemas"]["Time"];
            engine?: components["schemas"]["EngineView"] | null;
            /**
             * Format: double
             * @description How long the engine took, in milliseconds, by the agent's account.
             */
            engine_ms?: number | null;
            /** @description How the instance is. */
            health: components["schemas"]["HealthView"];
            /** @description Which instance. */
            instance: string;
            last_seen?: components["schemas"]["Time"] | null;
            /**
             * Format: double
             * @description Round trip over the link without the engine's part, in milliseconds.
             */
            latency_ms?: number | null;
            /** @description How its agent is connected. */
            link: components["schemas"]["LinkView"];
            /** @description Why, in a sentence. */
            reason: string;
        };
        /** @description One registered Docker host. */
        InstanceView: {
            /** @description What its agent is able to do on this host (`compose`, `script`, …), as last heard. */
            abilities: string[];
            as_of?: components["schemas"]["Time"] | null;
            /**
             * Format: double
             * @description Age of that, in seconds.
             */
            as_of_age_seconds?: number | null;
            /** @description The most that may be asked of it here, whatever its owner allows; none for no such limit. */
            ceiling?: string[] | null;
            /** @description How many containers it has in each state. */
            containers: components["schemas"]["ContainerCounts"];
            /** @description When it was registered. */
            created_at: components["schemas"]["Time"];
            /** @description Whether the controller's configuration file declares it; then it is changed and removed there. */
            declared: boolean;
            /** @description Free text. */
            description: string;
            engine?: components["schemas"]["EngineView"] | null;
            /** @description Environment label. */
            environment?: string | null;
            /** @description How it is. */
            health: components["schemas"]["HealthView"];
            /** @description Why it is so, in a sentence. */
            health_reason: string;
            /** @description Its id, stable for as long as it is registered. */
            id: string;
            /** @description Fingerprint of its agent's key, once it has joined. */
            key?: string | null;
            key_since?: components["schemas"]["Time"] | null;
            last_seen?: components["schemas"]["Time"] | null;
            /**
             * Format: double
             * @description Age of the last successful contact, in seconds.
             */
            last_seen_age_seconds?: number | null;
            /**
             * Format: double
             * @description Round trip of the last check over the link, in milliseconds.
             */
            latency_ms?: number | null;
            /** @description How its agent is connected. */
            link: components["schemas"]["LinkView"];
            load?: components["schemas"]["LoadView"] | null;
            /** @description Its name, unique regardless of case. */
            name: string;
            /** @description The key that its agent will show next, while it is being replaced. */
            next_key?: string | null;
            /** @description The verbs that its owner allows, as last heard. */
            policy?: string[] | null;
            policy_limits?: components["schemas"]["Limits"] | null;
            /** @description The compose projects that its containers belong to, by name; the first 100. */
            projects: string[];
            /** @description Whether the host may differ from what is shown by now. */
            stale: boolean;
            /** @description Tags, sorted. */
            tags: string[];
            /** @description Where the controller dials its agent; none if the agent dials. */
            url?: string | null;
            /** @description Version of its agent, as last heard. */
            version?: string | null;
        };
        /** @description Every instance. */
        InstancesView: {
            /** @description How many of them are healthy. */
            healthy_count: number;
            /** @description The instances, by name. */
            instances: components["schemas"]["InstanceView"][];
            this_instance?: components["schemas"]["InstanceView"] | null;
            /** @description How many there are. */
            total_count: number;
        };
        /** @description The same agent, started in four ways. */
        JoinCommands: {
            /** @description As a program on the host. */
            binary: string;
            /** @description As a compose file. */
            compose: string;
            /** @description With `docker run`. */
            docker_run: string;
            /** @description As a unit of systemd. */
            systemd: string;
        };
        /** @description A join token to make. */
        JoinTokenRequest: {
            /**
             * @description The most that may be asked of what joins with it, as verbs, whatever its owner allows; left out for no such
             *     limit. The controller refuses the rest; the agent's own policy rules beside it.
             */
            ceiling?: string[] | null;
            direction?: components["schemas"]["DirectionView"] | null;
            /** @description Environment label that it gives, instead of the agent's. */
            environment?: string | null;
            /** @description The instance it is for; left out, it registers a new one. */
            instance?: string | null;
            /** @description What to call it, to know it by. */
            name?: string | null;
            /** @description Tags that it gives to what joins with it, besides the agent's own. */
            tags?: string[];
            ttl?: components["schemas"]["Span"] | null;
            /**
             * Format: int32
             * @description How often it may be used; once if left out.
             */
            uses?: number | null;
        };
        /** @description A join token, without its secret. */
        JoinTokenView: {
            /** @description The most that may be asked of what joins with it; none for no such limit. */
            ceiling?: string[] | null;
            /** @description When it was made. */
            created_at: components["schemas"]["Time"];
            /** @description Who dials: `outbound` or `inbound`. */
            direction: string;
            /** @description Environment label that it gives. */
            environment?: string | null;
            /** @description When it ends. */
            expires_at: components["schemas"]["Time"];
            /** @description Its id. */
            id: string;
            /** @description The instance it is for; none if it registers a new one. */
            instance?: string | null;
            /** @description What it is called. */
            name?: string | null;
            /** @description Tags that it gives. */
            tags: string[];
            used_at?: components["schemas"]["Time"] | null;
            /**
             * Format: int32
             * @description How often it may still be used.
             */
            uses_left: number;
        };
        /** @description Every join token. */
        JoinTokensView: {
            /** @description The tokens. */
            tokens: components["schemas"]["JoinTokenView"][];
        };
        /** @description How a host joins. Shown once: the controller does not keep the token. */
        JoinView: {
            /** @description The commands; any one of them will do. */
            commands: components["schemas"]["JoinCommands"];
            /** @description Who dials: `outbound` (the agent) or `inbound` (the controller). */
            direction: string;
            /** @description When it ends. */
            expires_at: components["schemas"]["Time"];
            /** @description The join token: a secret until it has been used. */
            token: string;
            /** @description Id of the token, for revoking it. */
            token_id: string;
        };
        /** @description What one container was. */
        LifeView: {
            /** @description Its whole id. */
            full_id: string;
            /** @description Its name, as last heard. */
            name: string;
            /** @description Whether it is there now. */
            present: boolean;
            /** @description Its compose project. */
            project?: string | null;
            /** @description What it was, oldest first. */
            spans: components["schemas"]["SpanView"][];
        };
        /** @description Where a container or project is in its life. */
        LifecycleView: {
            /** @description The kind of reason: `exit`, `out_of_memory`, `unhealthy`, `restart_loop`, `command` or `paused`. */
            cause?: string | null;
            /** @description Why, for a person to read; always there for `failed`. */
            reason?: string | null;
            /** @description Since when, by the engine's clock. */
            since: components["schemas"]["Time"];
            /** @description `installing`, `ready`, `failed`, `stopped` or `removed`. */
            status: string;
        };
        /** @description What allowed verbs are limited to. None of a list means no limit, an empty list means nothing at all. */
        Limits: {
            /** @description Folders and files of the host that may be mounted, with what is below them. */
            host_paths?: string[] | null;
            /** @description No container may be created with more of the host than a plain one has. */
            no_privileged?: boolean;
            /** @description Compose projects that may be synced; `*` at the end of one stands for any rest. */
            projects?: string[] | null;
            /** @description Where images may come from: a registry (`ghcr.io`) or a path in one (`ghcr.io/acme`). */
            registries?: string[] | null;
        };
        /**
         * @description Whether an agent is connected.
         * @enum {string}
         */
        LinkStateView: "live" | "late" | "lost" | "never";
        /** @description How an agent is connected. */
        LinkView: {
            /**
             * Format: double
             * @description For how long, in seconds.
             */
            age_seconds: number;
            /** @description Who dialled: `outbound` (the agent) or `inbound` (the controller); none before the first link. */
            direction?: string | null;
            /** @description Why it is as it is, where there is something to say. */
            reason?: string | null;
            /** @description The peer's address of the present or last link. */
            remote?: string | null;
            /** @description Since when. */
            since: components["schemas"]["Time"];
            /** @description The state. */
            state: components["schemas"]["LinkStateView"];
        };
        /** @description One server-sent event: `event` is its name, `data` its JSON. */
        LiveEvent: {
            /** @description Everything; replaces what was told before. */
            data: components["schemas"]["LiveView"];
            /** @enum {string} */
            event: "view";
        } | {
            /** @description An instance is new or changed; its containers are told apart. */
            data: components["schemas"]["InstanceView"];
            /** @enum {string} */
            event: "instance";
        } | {
            /** @description Containers of an instance changed. */
            data: components["schemas"]["ContainersChange"];
            /** @enum {string} */
            event: "containers";
        } | {
            /** @description Fresh figures. */
            data: components["schemas"]["FiguresChange"];
            /** @enum {string} */
            event: "figures";
        } | {
            /** @description An instance was removed. */
            data: components["schemas"]["Removal"];
            /** @enum {string} */
            event: "removed";
        } | {
            /** @description A command is new or changed. */
            data: components["schemas"]["CommandView"];
            /** @enum {string} */
            event: "command";
        } | {
            /** @description A command's log grew. */
            data: components["schemas"]["ProgressChange"];
            /** @enum {string} */
            event: "progress";
        } | {
            /** @description A rollout is new or changed. */
            data: components["schemas"]["RolloutNews"];
            /** @enum {string} */
            event: "rollout";
        } | {
            /** @description Something happened. */
            data: components["schemas"]["EventView"];
            /** @enum {string} */
            event: "event";
        };
        /** @description The whole view. */
        LiveView: {
            /** @description When this was true. */
            at: components["schemas"]["Time"];
            /** @description The commands that have not ended, newest first. */
            commands: components["schemas"]["CommandView"][];
            /** @description The containers of each instance; none with `containers=apart` or `changes`. */
            containers: components["schemas"]["ContainersView"][];
            /** @description Every instance, by name. */
            instances: components["schemas"]["InstanceView"][];
            /** @description The controller's version: a page that was loaded from another should be loaded anew. */
            version: string;
        };
        /** @description What the containers of an instance were. */
        LivesView: {
            /** @description Until when. */
            at: components["schemas"]["Time"];
            /** @description The containers: those of a project together, by name. */
            containers: components["schemas"]["LifeView"][];
            /** @description Of which instance. */
            instance: string;
            /** @description Whether there were more events than are read for one answer: the oldest spans may be missing. */
            shortened: boolean;
            /** @description From when. */
            since: components["schemas"]["Time"];
        };
        /** @description What the running containers of a host use together. */
        LoadView: {
            /**
             * Format: double
             * @description How long ago, in seconds.
             */
            age_seconds: number;
            /** @description When the oldest figures that count were sampled, by the agent's clock. */
            at: components["schemas"]["Time"];
            /**
             * Format: double
             * @description CPU use in percent of one core; none while each has but one sample.
             */
            cpu_percent?: number | null;
            /**
             * Format: double
             * @description Memory in use, in MiB.
             */
            memory_mb: number;
        };
        /** @description One line of a command's log. */
        LogLineView: {
            /** @description When, by the agent's clock. */
            at: components["schemas"]["Time"];
            /** @description What it says. */
            entry: components["schemas"]["Progress"];
            /**
             * Format: int64
             * @description Number of the line, from 0, without holes.
             */
            line: number;
        };
        /**
         * @description Where a log line came from.
         * @enum {string}
         */
        LogStream: "stdout" | "stderr" | "agent" | "container" | "unknown";
        /** @description Lines of a command's log. */
        LogView: {
            /** @description The command. */
            command_id: string;
            /** @description Whether it has ended; then no more lines come. */
            ended: boolean;
            /** @description The lines. */
            lines: components["schemas"]["LogLineView"][];
            /**
             * Format: int64
             * @description The line to ask for next.
             */
            next_line: number;
            /** @description Where it stands. */
            state: components["schemas"]["CommandStateView"];
        };
        /** @description Who wants to log in. */
        LoginRequest: {
            /** @description Code of the second factor, where the account has one, or a recovery code. */
            code?: string | null;
            /** @description Password. */
            password: string;
            /** @description User name; `admin` if left out. */
            username?: string | null;
        };
        /**
         * @description What to do on many hosts.
         * @enum {string}
         */
        ManyAction: "start" | "stop" | "restart" | "kill" | "pause" | "unpause" | "remove" | "check";
        /** @description The same to do on many hosts, named by id or by their labels. */
        ManyRequest: {
            /** @description What to do. */
            action: components["schemas"]["ManyAction"];
            /** @description The container that is meant, by name; for all actions but `check`. */
            container?: string | null;
            /** @description Instead of ids: hosts with this environment label. One without the container or project is not meant. */
            environment?: string | null;
            /** @description Instead of all of that: every host. It has to be said. */
            every?: boolean;
            /** @description Ids of instances. A host without the container or project is refused by name. */
            instances?: string[] | null;
            /** @description The compose project to check; may be left out where a host has only one. */
            project?: string | null;
            queue_for?: components["schemas"]["Span"] | null;
            /** @description Instead of ids: hosts with this tag. */
            tag?: string | null;
        };
        /** @description What became of it, host by host. */
        ManyView: {
            /** @description The commands that were taken on. */
            accepted: components["schemas"]["AcceptedOne"][];
            /** @description Hosts that were refused, and why. */
            refused: components["schemas"]["RefusedOne"][];
        };
        /** @description One mount. */
        MountDetails: {
            /** @description `bind`, `volume`, `tmpfs`, … */
            kind: string;
            /** @description Whether the container may only read. */
            read_only?: boolean;
            /** @description Path on the host, or name of the volume. */
            source: string;
            /** @description Path in the container. */
            target: string;
        };
        /** @description A container's place in one network. */
        NetworkDetails: {
            /** @description Addresses of the container there. */
            addresses?: string[];
            /** @description Further names it has there. */
            aliases?: string[];
            /** @description Where it sends what leaves the network; empty if nowhere. */
            gateway?: string;
            /** @description Hardware address. */
            mac?: string;
            /** @description The network. */
            name: string;
        };
        /** @description An API token to make. */
        NewApiTokenRequest: {
            /** @description these instances, by id; both left out for all that one sees oneself. */
            instances?: string[];
            /** @description Name, unique among one's own. */
            name: string;
            /** @description The most it may do. */
            scope: components["schemas"]["ScopeView"];
            /** @description It sees and acts on instances with one of these tags, and */
            tags?: string[];
            ttl?: components["schemas"]["Span"] | null;
        };
        /** @description A token that was made. The secret is shown this once. */
        NewApiTokenView: {
            /** @description The token (`rst_…`): send it as `Authorization: Bearer`. */
            secret: string;
            /** @description What was made. */
            token: components["schemas"]["ApiTokenView"];
        };
        /** @description A new password for a user. */
        NewPasswordRequest: {
            /** @description The password, at least 8 characters; left out, one is made and answered once. */
            password?: string | null;
        };
        /** @description A user to make. */
        NewUserRequest: {
            /** @description Name: small letters, digits, and `. _ - @ +`. */
            name: string;
            /** @description Password, at least 8 characters; left out, one is made and answered once. */
            password?: string | null;
            /** @description What the user may do. */
            role: components["schemas"]["RoleView"];
            /** @description The user sees and acts on instances with one of these tags; empty for all. */
            tags?: string[];
        };
        /** @description A user with the password that was made. */
        NewUserView: {
            /** @description The password that was made, shown this once; none if one was given. */
            password?: string | null;
            /** @description The user. */
            user: components["schemas"]["UserView"];
        };
        /** @description A web session. */
        OpenSessionView: {
            /** @description The network it was begun from. */
            address?: string | null;
            /** @description What the browser calls itself. */
            client?: string | null;
            /** @description When it began. */
            created_at: components["schemas"]["Time"];
            /** @description Whether it is the one that asks. */
            current: boolean;
            /** @description When it ends unless it is used. */
            expires_at: components["schemas"]["Time"];
            /** @description Its id. */
            id: string;
            /** @description When it was last used, to the minute. */
            last_used: components["schemas"]["Time"];
            /** @description Whose session. */
            user: string;
        };
        /** @description Why an agent did not begin a command. */
        OrderRefusal: {
            /** @enum {string} */
            refusal: "policy";
            /**
             * @description What exactly refused it: a limit of the policy, a container's protection, and where that is written;
             *     none where the verb itself is not allowed.
             */
            rule?: string | null;
            /** @description The verb it needs. */
            verb: string;
        } | {
            /** @enum {string} */
            refusal: "busy";
            /** @description The command that runs. */
            running: string;
        } | {
            /**
             * Format: int32
             * @description How many that is.
             */
            limit: number;
            /** @enum {string} */
            refusal: "too_many";
        } | {
            /** @description Why, and what to do. */
            reason: string;
            /** @enum {string} */
            refusal: "invalid";
        } | {
            /** @enum {string} */
            refusal: "unsupported";
        } | {
            /** @enum {string} */
            refusal: "unknown";
        };
        /** @description How a command ended at the agent. `lost` is not here: only the controller can conclude it. */
        Outcome: {
            /** @enum {string} */
            outcome: "succeeded";
            /** @description What came of each service, where there are services. */
            services?: components["schemas"]["ServiceOutcome"][];
            /** @description What came of it, in one sentence. */
            summary: string;
        } | {
            /** @enum {string} */
            outcome: "failed";
            /** @description Why, naming the service where one failed. */
            reason: string;
            /** @description What came of each service, where there are services. */
            services?: components["schemas"]["ServiceOutcome"][];
        } | {
            /** @enum {string} */
            outcome: "cancelled";
            /** @description What came of each service until then. */
            services?: components["schemas"]["ServiceOutcome"][];
            /** @description What had been done by then. */
            summary: string;
        } | {
            /** @enum {string} */
            outcome: "refused";
            /** @description Why. */
            refusal: components["schemas"]["OrderRefusal"];
        } | {
            /** @enum {string} */
            outcome: "unknown";
        };
        /** @description A new password for oneself. */
        PasswordChangeRequest: {
            /** @description Code of the second factor, where there is one. */
            code?: string | null;
            /** @description The new password: at least 8 characters. */
            new_password: string;
            /** @description The password so far. */
            password: string;
        };
        /** @description A second factor that counts from its first code on. Shown once. */
        PendingFactorView: {
            /** @description The same as a link, for apps and QR codes. */
            otpauth_url: string;
            /** @description The secret, as it is typed into an app. */
            secret: string;
        };
        /** @description A service as the plan names it. */
        PlannedService: {
            /** @description What runs now (`sha256:…` of the image). */
            current?: string | null;
            /** @description Its image reference. */
            image: string;
            /** @description The service. */
            service: string;
        };
        /** @description A service of a planned step. */
        PlannedServiceView: {
            /** @description How many containers it has. */
            containers: number;
            /** @description Image reference. */
            image: string;
            /** @description What it runs now (`sha256:…`). */
            image_id: string;
            /** @description Its name. */
            service: string;
        };
        /** @description What would be done on one host. */
        PlannedStepView: components["schemas"]["StepView"] & {
            /** @description Why it would be left out if its turn were now. */
            obstacle?: string | null;
            /** @description The services and what they run now. */
            services: components["schemas"]["PlannedServiceView"][];
            /** @description The strategies that its agent has, the one it prefers first. */
            strategies: string[];
        };
        /** @description A port a container exposes, published on the host or not. */
        Port: {
            /** @description Host address it is published on, if published. */
            host_ip?: string | null;
            /**
             * Format: int32
             * @description Port inside the container.
             */
            private: number;
            /** @description `tcp`, `udp` or `sctp`. */
            protocol: string;
            /**
             * Format: int32
             * @description Host port it is published on, if published.
             */
            public?: number | null;
        };
        /** @description A problem document as it is sent. Some problems have further members, named in their `detail`. */
        ProblemDocument: {
            /** @description What happened, and what to do. */
            detail: string;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description The kind of problem in a few words. */
            title: string;
            /** @description Which kind of problem: `urn:roadstead:problem:…`, stable, for programs to tell problems apart. */
            type: string;
        } & {
            [key: string]: unknown;
        };
        /** @description What a line says. */
        Progress: {
            /** @enum {string} */
            progress: "plan";
            /** @description The services it will touch. */
            services?: components["schemas"]["PlannedService"][];
            strategy?: components["schemas"]["Strategy"] | null;
            /** @description Why this strategy. */
            why?: string;
        } | {
            /** @description More, for a person to read. */
            detail?: string;
            /** @enum {string} */
            progress: "step";
            /** @description The service, if the step is about one. */
            service?: string | null;
            /** @description Where the step is. */
            state: components["schemas"]["StepState"];
            /** @description Which step. */
            step: components["schemas"]["Step"];
        } | {
            /**
             * Format: int64
             * @description Bytes done in this status.
             */
            done_bytes?: number;
            /** @description The image. */
            image: string;
            /** @description The layer's short id. */
            layer: string;
            /** @enum {string} */
            progress: "layer";
            /** @description The service whose image it is. */
            service?: string | null;
            /** @description The engine's word: `Downloading`, `Extracting`, `Pull complete`, … */
            status: string;
            /**
             * Format: int64
             * @description Bytes in all in this status; none if the engine did not say.
             */
            total_bytes?: number | null;
        } | {
            /** @enum {string} */
            progress: "log";
            /** @description The service, if it is about one. */
            service?: string | null;
            /** @description Where it came from. */
            stream: components["schemas"]["LogStream"];
            /** @description One line of text, at most 4 KiB. */
            text: string;
        } | {
            /**
             * Format: int64
             * @description How many.
             */
            count: number;
            /** @enum {string} */
            progress: "dropped";
        } | {
            /** @enum {string} */
            progress: "unknown";
        };
        /** @description A command's log grew. */
        ProgressChange: {
            /** @description Which command. */
            command: string;
            /** @description Where it runs. */
            instance: string;
            /** @description The new lines. */
            lines: components["schemas"]["LogLineView"][];
        };
        /** @description One compose project. */
        ProjectView: {
            /** @description Its compose files on the host, where a label tells. */
            config_files: string[];
            /** @description How its containers are. */
            containers: components["schemas"]["CountsView"];
            /** @description Where it is in its life. */
            lifecycle: components["schemas"]["LifecycleView"];
            /** @description Its name. */
            project: string;
            /** @description Its services, by name. */
            services: components["schemas"]["ServiceView"][];
            /** @description The folder on the host that compose was called in, where a label tells. */
            working_dir?: string | null;
        };
        /** @description The compose projects of one instance, with the age of the picture they are from. */
        ProjectsView: {
            as_of?: components["schemas"]["Time"] | null;
            /**
             * Format: double
             * @description Age of the picture, in seconds.
             */
            as_of_age_seconds?: number | null;
            /** @description Whose projects. */
            instance: string;
            /** @description How the agent is connected. */
            link: components["schemas"]["LinkView"];
            /** @description The projects, by name. */
            projects: components["schemas"]["ProjectView"][];
            /** @description Whether the host may differ from the picture by now. */
            stale: boolean;
        };
        /** @description Proof that it is really oneself who asks. */
        ProofRequest: {
            /** @description Code of the second factor, where there is one, or a recovery code. */
            code?: string | null;
            /** @description The password. */
            password: string;
        };
        /** @description Recovery codes. Shown once; each is good once, in place of a code. */
        RecoveryCodesView: {
            /** @description The codes. */
            recovery_codes: string[];
        };
        /** @description A host that was refused. */
        RefusedOne: {
            /** @description Why, and what to do. */
            detail: string;
            /** @description Which. */
            instance: string;
        };
        /** @description An instance to register. */
        RegisterRequest: {
            /** @description Free text. */
            description?: string;
            /** @description Environment label. */
            environment?: string | null;
            /** @description Name, unique regardless of case. */
            name: string;
            /** @description Tags. */
            tags?: string[];
            /**
             * @description A join token that the agent at `url` already holds (POST /api/join-tokens with `direction: inbound`); left
             *     out, a new one is made.
             */
            token?: string | null;
            token_ttl?: components["schemas"]["Span"] | null;
            /** @description Where the controller dials the agent (`wss://host:port`); left out if the agent is to dial. */
            url?: string | null;
        };
        /** @description An instance that was registered, and how its host joins. */
        RegisteredView: {
            /** @description The instance. */
            instance: components["schemas"]["InstanceView"];
            join?: components["schemas"]["JoinView"] | null;
        };
        /** @description A container to reinstall. */
        ReinstallRequest: {
            /** @description Its name, id, or the beginning of its id. */
            container: string;
            queue_for?: components["schemas"]["Span"] | null;
        };
        /** @description What came of reading the configuration again. */
        ReloadedView: {
            /** @description The agents that the file declares, by name. */
            agents: components["schemas"]["AppliedView"];
            /** @description Settings that changed and count from now on. */
            applied: string[];
            /** @description Settings that changed and count from the next start of the controller. */
            needs_restart: string[];
        };
        /** @description An instance was removed. */
        Removal: {
            /** @description Which instance. */
            instance: string;
        };
        /**
         * @description What somebody may do; each may do what those before may.
         * @enum {string}
         */
        RoleView: "viewer" | "operator" | "admin";
        /** @description Hosts by their labels; what is left out is not asked for. */
        RolloutFilter: {
            /** @description Environment label. */
            environment?: string | null;
            /** @description Tag. */
            tag?: string | null;
        };
        /** @description A rollout is new or changed. */
        RolloutNews: {
            /** @description As it is now. */
            rollout: components["schemas"]["RolloutSummary"];
            /** @description The steps that changed. */
            steps: components["schemas"]["StepView"][];
        };
        /**
         * @description In which order hosts have their turn.
         * @enum {string}
         */
        RolloutOrder: "given" | "name" | "containers";
        /** @description What a rollout would do. */
        RolloutPlanView: {
            /** @description How many batches that makes. */
            batches: number;
            /** @description The steps, in order. */
            steps: components["schemas"]["PlannedStepView"][];
        };
        /** @description A sync of many hosts to do. Which hosts: `instances`, or else all that `filter` lets through. */
        RolloutRequest: {
            /**
             * Format: int32
             * @description How many at once, 1 to 100; 1 if left out. A batch begins when the one before has ended.
             */
            batch_size?: number;
            /** @description Only say what would be done. */
            dry_run?: boolean;
            filter?: components["schemas"]["RolloutFilter"] | null;
            /** @description Ids of the hosts. One that does not show the project is named as skipped. */
            instances?: string[] | null;
            /** @description In which order; `given` if left out. */
            order?: components["schemas"]["RolloutOrder"];
            /** @description The compose project; left out, every project that each host shows. */
            project?: string | null;
            queue_for?: components["schemas"]["Span"] | null;
            /** @description Whether a host that failed keeps later ones from beginning; so if left out. */
            stop_on_failure?: boolean;
            strategy?: components["schemas"]["Strategy"] | null;
            /**
             * Format: int32
             * @description How long a restarted service may take to run and be healthy, in seconds.
             */
            verify_secs?: number | null;
        };
        /** @description A sync of many hosts, without its steps. */
        RolloutSummary: {
            /**
             * Format: double
             * @description How long ago, in seconds.
             */
            age_seconds: number;
            /**
             * Format: int32
             * @description Steps at once.
             */
            batch_size: number;
            /** @description How many steps are in each state. */
            counts: components["schemas"]["StepCounts"];
            /** @description Whether that can never change again. */
            ended: boolean;
            ended_at?: components["schemas"]["Time"] | null;
            /** @description Its id. */
            id: string;
            /** @description When. */
            issued_at: components["schemas"]["Time"];
            /** @description Who asked. */
            issued_by: string;
            /** @description The projects that are synced. */
            projects: string[];
            /**
             * Format: int32
             * @description How long the command of an absent host waits, in seconds; none skips such a host.
             */
            queue_seconds?: number | null;
            /**
             * @description `running`, `stopping` (no further step begins), and at the end `succeeded`, `failed`, `incomplete` (hosts were
             *     left out) or `stopped`.
             */
            state: string;
            /** @description Whether a failed step keeps later ones from beginning. */
            stop_on_failure: boolean;
            /** @description Why no further step begins. */
            stopped?: string | null;
        };
        /** @description A sync of many hosts. */
        RolloutView: components["schemas"]["RolloutSummary"] & {
            /** @description Its steps, in order. */
            steps: components["schemas"]["StepView"][];
        };
        /** @description The newest rollouts, newest first. */
        RolloutsView: {
            /** @description The rollouts. */
            rollouts: components["schemas"]["RolloutSummary"][];
        };
        /**
         * @description The most that a token may do; never more than its user may.
         * @enum {string}
         */
        ScopeView: "read" | "operate" | "admin";
        /** @description What came of one service of a project. */
        ServiceOutcome: {
            /** @description What they run now. */
            after?: string | null;
            /** @description What its containers ran before (`sha256:…` of the image), none if nothing ran. */
            before?: string | null;
            /** @description Image reference. */
            image: string;
            /** @description Last log lines of a failing container. */
            log_tail?: string[];
            /** @description Why, where it failed or could not be checked. */
            reason?: string | null;
            /** @description What came of it. */
            result: components["schemas"]["ServiceResult"];
            /** @description The service, or the container's name where there is no project. */
            service: string;
        };
        /**
         * @description What came of one service: different facts, never confused.
         * @enum {string}
         */
        ServiceResult: "updated" | "already_current" | "restarted" | "outdated" | "failed" | "rolled_back" | "cannot_check" | "not_reached" | "unknown";
        /** @description One service of a project. */
        ServiceView: {
            /** @description How its containers are. */
            containers: components["schemas"]["CountsView"];
            /** @description Its name. */
            service: string;
        };
        /** @description Who is logged in. */
        SessionView: {
            /** @description Whether guests are let in without a password. */
            demo_mode: boolean;
            /** @description Name of the controller's host. */
            host: string;
            /** @description Whether the user may register, change and remove instances and run commands. */
            may_change: boolean;
            /** @description What people know the provider as that they may sign in at, if there is one. */
            provider?: string | null;
            /** @description `admin`, `operator`, `viewer` or `guest`. */
            role: string;
            /** @description The instances' tags that the user is limited to; empty if all are seen. */
            tags: string[];
            /** @description Id of the controller's own instance, if it runs an agent for its host. */
            this_instance?: string | null;
            /** @description Whether this is an API token's answer. */
            token: boolean;
            /** @description User name. */
            username: string;
            /** @description Version of the controller. */
            version: string;
        };
        /** @description Web sessions that are open, the last used first. */
        SessionsView: {
            /** @description The sessions. */
            sessions: components["schemas"]["OpenSessionView"][];
        };
        /** @description A variable or a label. */
        Setting: {
            /** @description Its name. */
            name: string;
            /** @description Its value; none where it looks secret and the agent's owner does not allow `view-env`. */
            value?: string | null;
        };
        /** @example 24h */
        Span: string;
        /** @description A stretch of a container's life. */
        SpanView: {
            /** @description The kind of reason, as in a lifecycle. */
            cause?: string | null;
            /** @description From when. */
            from: components["schemas"]["Time"];
            /** @description Why, for a person to read. */
            reason?: string | null;
            /** @description `installing`, `ready`, `failed`, `stopped` or `removed`. */
            status: string;
            until?: components["schemas"]["Time"] | null;
        };
        /** @description The life of a container. */
        SpansView: {
            /** @description When this was true. */
            at: components["schemas"]["Time"];
            /** @description Whole id of the container. */
            full_id: string;
            /** @description On which instance. */
            instance: string;
            /** @description Whether what was before is left out; the event log may still have it. */
            shortened: boolean;
            /** @description The stretches, oldest first. */
            spans: components["schemas"]["SpanView"][];
        };
        /**
         * @description The steps a command is made of.
         * @enum {string}
         */
        Step: "pull" | "script" | "compose" | "create" | "stop" | "start" | "verify" | "rollback" | "cleanup" | "act" | "unknown";
        /** @description How many steps are in each state. */
        StepCounts: {
            failed: number;
            queued: number;
            running: number;
            skipped: number;
            succeeded: number;
            total: number;
            waiting: number;
        };
        /**
         * @description Where a step is.
         * @enum {string}
         */
        StepState: "started" | "done" | "skipped" | "failed" | "unknown";
        /**
         * @description Where a step stands. `waiting`, `queued` (for an absent agent) and `running` may still change.
         * @enum {string}
         */
        StepStateView: "waiting" | "queued" | "running" | "succeeded" | "failed" | "cancelled" | "lost" | "refused" | "skipped";
        /** @description The sync of one project on one host. */
        StepView: {
            /** @description Its batch, from 0. */
            batch: number;
            /** @description Its command, once it has begun. */
            command?: string | null;
            /** @description Which host. */
            instance: string;
            /** @description The host's name when the rollout was made. */
            name: string;
            /** @description Its place in the order, from 0. */
            place: number;
            /** @description Which project; empty where the host shows none. */
            project: string;
            /** @description What came of it, or why it was not done. */
            reason?: string | null;
            /** @description Where it stands. */
            state: components["schemas"]["StepStateView"];
        };
        /**
         * @description How a sync is done.
         * @enum {string}
         */
        Strategy: "script" | "compose" | "engine" | "unknown";
        /** @description A sync to do. */
        SyncRequest: {
            /** @description The compose project; may be left out where the host has only one. */
            project?: string | null;
            queue_for?: components["schemas"]["Span"] | null;
            /** @description Services to sync; left out or empty means all. */
            services?: string[];
            strategy?: components["schemas"]["Strategy"] | null;
            /**
             * Format: int32
             * @description How long a restarted service may take to run and be healthy, in seconds.
             */
            verify_secs?: number | null;
        };
        /** @description A sync of one compose project. */
        SyncWork: {
            /** @description The compose project. */
            project: string;
            /** @description Services to sync; empty means all. */
            services?: string[];
            strategy?: components["schemas"]["Strategy"] | null;
            /**
             * Format: int32
             * @description How long a restarted service may take to be running, and healthy if it has a health check, in seconds.
             */
            verify_secs?: number;
        };
        /** Format: date-time */
        Time: string;
        /** @description What to change about a user: what is left out stays as it is. */
        UserChangeRequest: {
            /** @description Whether the user is kept out: sessions end, and tokens are of no use. */
            disabled?: boolean | null;
            role?: components["schemas"]["RoleView"] | null;
            /** @description New tags; empty for every instance. */
            tags?: string[] | null;
        };
        /** @description A user. */
        UserView: {
            /** @description When the user was made. */
            created_at: components["schemas"]["Time"];
            /** @description Whether the user is kept out. */
            disabled: boolean;
            /** @description The provider that the user signs in at; none for a user with a password. */
            issuer?: string | null;
            last_login?: components["schemas"]["Time"] | null;
            /** @description Name. */
            name: string;
            /**
             * Format: int32
             * @description Recovery codes that are left; none without a second factor.
             */
            recovery_codes?: number | null;
            /** @description `admin`, `operator` or `viewer`. */
            role: string;
            /** @description Whether signing in takes a second factor. */
            second_factor: boolean;
            /** @description The user sees and acts on instances with one of these tags; empty for all. */
            tags: string[];
        };
        /** @description Every user, by name. */
        UsersView: {
            /** @description The users. */
            users: components["schemas"]["UserView"][];
        };
        /** @description What a command asks for. */
        Work: (components["schemas"]["SyncWork"] & {
            /** @enum {string} */
            work: "sync";
        }) | (components["schemas"]["InstallWork"] & {
            /** @enum {string} */
            work: "install";
        }) | {
            /** @description Id or name of the container. */
            container: string;
            /** @enum {string} */
            work: "reinstall";
        } | {
            /** @description What to do. */
            action: components["schemas"]["ContainerAction"];
            /** @description Id or name of the container. */
            container: string;
            /** @enum {string} */
            work: "container";
        } | {
            /** @description The compose project. */
            project: string;
            /** @enum {string} */
            work: "check";
        } | {
            /** @enum {string} */
            work: "unknown";
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    front_page: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    own_account: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    change_password: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PasswordChangeRequest"];
            };
        };
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    renew_recovery_codes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProofRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecoveryCodesView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    begin_second_factor: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProofRequest"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PendingFactorView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    confirm_second_factor: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CodeRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecoveryCodesView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    remove_second_factor: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProofRequest"];
            };
        };
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    audit_log: {
        parameters: {
            query?: {
                /** @description From the page before: `next`. */
                cursor?: number;
                /** @description How many, at most 500. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    export_audit_log: {
        parameters: {
            query?: {
                /** @description In which form; `jsonl` if left out. */
                format?: "jsonl" | "csv";
                /** @description Only entries newer than this one. */
                after?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                    "text/csv": string;
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_commands: {
        parameters: {
            query?: {
                /** @description Only this instance's. */
                instance?: string;
                /** @description Only those in this state. */
                state?: components["schemas"]["CommandStateView"];
                /** @description Only those that have not ended. */
                unfinished?: boolean;
                /** @description From the page before: `next`. */
                cursor?: string;
                /** @description How many, at most 200. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CommandsView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    order_many: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ManyRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ManyView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    one_command: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the command */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CommandView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    cancel_command: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the command */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CommandView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    command_log: {
        parameters: {
            query?: {
                /** @description First line wanted; 0 if left out. */
                from?: number;
                /** @description How many, at most 1,000; of no meaning while following. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description Id of the command */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    reload_config: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReloadedView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    find_containers: {
        parameters: {
            query?: {
                /**
                 * @description Only those in which each word of this is somewhere: in the name, the image, the compose project or service, the
                 *     id, or the name of the instance, whatever the case.
                 */
                q?: string;
                /** @description Only this instance's. */
                instance?: string;
                /** @description Only those of this compose project. */
                project?: string;
                /** @description Only those in this state. */
                state?: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead" | "unknown";
                /** @description Only those whose health check says this. */
                health?: "none" | "starting" | "healthy" | "unhealthy" | "unknown";
                /** @description From the page before: `next`. */
                cursor?: string;
                /** @description How many, at most 500; 100 if left out. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ContainersPage"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    all_containers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": components["schemas"]["ContainerRow"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    controller_keys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ControllerKeysView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    rotate_controller_key: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ControllerKeysView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_events: {
        parameters: {
            query?: {
                /** @description Only this instance's. */
                instance?: string;
                /** @description Only those about this container, by its whole id. */
                container?: string;
                /** @description Only those of this kind. */
                kind?: string;
                /** @description Only those that happened at this time (RFC 3339) or later. */
                since?: string;
                /** @description From the page before: `next`. */
                cursor?: number;
                /** @description How many, at most 500. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EventsView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    log_in_guest: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_instances: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InstancesView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    register_instance: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RegisterRequest"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RegisteredView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    one_instance: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InstanceView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    remove_instance: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    change_instance: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangeRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InstanceView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    check: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CheckRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_containers: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ContainersView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    one_container: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
                /** @description Name, id, or the beginning of the id, of the container */
                container: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ContainerDetailsView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    container_lifecycle: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
                /** @description Name, id, or the beginning of the id, of the container */
                container: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SpansView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    act_on_container: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
                /** @description Name, id, or the beginning of the id, of the container */
                container: string;
                /** @description What to do */
                action: components["schemas"]["ContainerAction"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ActionRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    instance_health: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InstanceHealthView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    install: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["InstallRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    instance_lifecycles: {
        parameters: {
            query?: {
                /** @description From this time (RFC 3339) on; the last 24 hours if left out. */
                since?: string;
                /** @description Only this container, by its whole id. */
                container?: string;
            };
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LivesView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_projects: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProjectsView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    reinstall: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReinstallRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    rotate_agent_key: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Asked; `key` of the instance changes when it is done */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    sync: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the instance */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SyncRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_join_tokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JoinTokensView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    make_join_token: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JoinTokenRequest"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JoinView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    revoke_join_token: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the token */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    live: {
        parameters: {
            query?: {
                /** @description Ids of instances, separated by commas, whose containers' figures are to be fresh while this stream is open. */
                watch?: string;
                /**
                 * @description `apart`: a view comes without containers, and those of each instance follow as a `containers` event of their
                 *     own, so that the fleet is there before the last of very many containers is. `changes`: no lists of containers
                 *     at all but those of instances that are new or taken whole again, only what changes from the view on; GET
                 *     /api/instances/{id}/containers and GET /api/containers list them.
                 */
                containers?: "within" | "apart" | "changes";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["LiveEvent"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    log_in: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["LoginRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    log_out: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    begin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BeginRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BegunView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    finish: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FinishRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FinishedView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    openapi_document: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_rollouts: {
        parameters: {
            query?: {
                /** @description How many, at most 200. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RolloutsView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    start_rollout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RolloutRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RolloutPlanView"];
                };
            };
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RolloutView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    one_rollout: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the rollout */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RolloutView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    stop_rollout: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the rollout */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RolloutView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    session: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_sessions: {
        parameters: {
            query?: {
                /** @description This user's, which administrators may ask for; one's own if left out. */
                user?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionsView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    revoke_session: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the session */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_tokens: {
        parameters: {
            query?: {
                /** @description Everybody's, which administrators may ask for; one's own if left out. */
                all?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiTokensView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    make_token: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewApiTokenRequest"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewApiTokenView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    revoke_token: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the token */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    list_users: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UsersView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    add_user: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewUserRequest"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewUserView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    one_user: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the user */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    remove_user: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the user */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    change_user: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the user */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UserChangeRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    set_password: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the user */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewPasswordRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewUserView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    reset_second_factor: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the user */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    controller_health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ControllerHealthView"];
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text": string;
                };
            };
            /** @description Not done; `detail` says why, and what to do. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["ProblemDocument"];
                };
            };
        };
    };
}
