#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# `memory.sh load` fills an installed machine's memory, `memory.sh texts` stores some episodes, and `memory.sh digest` prints rows and a
# digest of all its content, on any machine, before and after a disaster.
set -euo pipefail
shopt -s inherit_errexit
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

memory=nexus_memory.zep_episodic_memory

# One in ten has a vector, because inserting into the index takes most of the time.
load() {
	as_owner --command="INSERT INTO $memory (content, tags, metadata, embedding)
		SELECT 'episode ' || i || ': ' || md5(i::text), ARRAY['disaster'], jsonb_build_object('action_type', 'note'),
			CASE WHEN i % 10 = 0 THEN (SELECT array_agg(sin(i * j)::real)::vector FROM generate_series(1, 384) j) END
		FROM generate_series(1, 20000) i"
}

# A few, because the machine's model makes their vectors.
texts() {
	as_owner --command="INSERT INTO $memory (content, tags, metadata)
		SELECT concat_ws(' ', who, what, place), ARRAY['page'], jsonb_build_object('action_type', 'note')
		FROM unnest(ARRAY['Ana', 'Bruno', 'Carla', 'David', 'Elena', 'Fernando', 'Gloria', 'Hugo']) who,
			unnest(ARRAY['planted roses', 'mended a bicycle', 'read a novel', 'cooked rice', 'sold a piano', 'saw an owl', 'lost a coat', 'sang']) what,
			unnest(ARRAY['in the garden', 'at home', 'by the river', 'in Madrid', 'at work', 'on the train', 'after dinner', 'last winter']) place"
}

digest() {
	printf '%s episodes, SHA-256 %s\n' "$(as_owner --command="SELECT count(*) FROM $memory")" \
		"$(as_owner --command="COPY (SELECT * FROM $memory ORDER BY episode_id) TO STDOUT" | sha256sum | cut -d' ' -f1)"
}

"$1"
