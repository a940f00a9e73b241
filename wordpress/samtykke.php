<?php
/**
 * Plugin Name: Samtykke companion
 * Description: Sends what people fill in to the consent service, and does on this site what the service asks: signed, both ways.
 * Version: 1.0.0
 * Requires at least: 6.4
 * Requires PHP: 7.4
 * License: GPL-2.0-or-later
 * License URI: https://www.gnu.org/licenses/gpl-2.0.html
 *
 * One file, for wp-content/mu-plugins. Settings are constants of wp-config.php and nowhere in the database, so that a
 * copy of the database carries no secret. How the two speak with each other: docs/reference/companion-plugin.md.
 *
 *  1 Settings           5 Forms and other sources      9 Accounts and products
 *  2 Tables             6 Calls from the service      10 Erasure and export
 *  3 Signatures         7 What a call may do          11 What an administrator sees
 *  4 Outbox             8 Lists of readers
 */

defined( 'ABSPATH' ) || exit;

const SAMTYKKE_VERSION          = '1.0.0';
const SAMTYKKE_SCHEMA           = '1';
const SAMTYKKE_ROUTE            = 'samtykke/v1/';
const SAMTYKKE_SKEW_MAX_S       = 300;                       // Standard Webhooks: older or younger is not taken.
const SAMTYKKE_BODY_MAX_BYTES   = 262144;
const SAMTYKKE_TIMEOUT_S        = 10;
const SAMTYKKE_BACKOFF_MAX_S    = 6 * HOUR_IN_SECONDS;
const SAMTYKKE_ATTEMPTS_MAX     = 64;                        // With the longest pause of six hours: two weeks.
const SAMTYKKE_KEEP_S           = 90 * DAY_IN_SECONDS;       // Of what was sent: its number, without its content.
const SAMTYKKE_LATE_S           = HOUR_IN_SECONDS;           // From here on an administrator is told.
const SAMTYKKE_OUTBOX_PAGE      = 200;
const SAMTYKKE_ENTRIES_PAGE     = 50;
const SAMTYKKE_FLUSH_S          = 20;                        // Hosts stop a process after about a minute.

/* 1 Settings -------------------------------------------------------------------------------------------------- */

/**
 * A constant of wp-config.php, or what stands for it when it is missing.
 *
 * @param string $name     Without `SAMTYKKE_`.
 * @param mixed  $fallback What counts when it is not defined.
 * @return mixed
 */
function samtykke_setting( $name, $fallback = '' ) {
	return defined( 'SAMTYKKE_' . $name ) ? constant( 'SAMTYKKE_' . $name ) : $fallback;
}

/**
 * The keys of SAMTYKKE_SECRET: `whsec_…`, during a change `new,old`. The first signs, each is accepted.
 *
 * @return string[] Binary keys; none when a secret cannot be read.
 */
function samtykke_keys() {
	$keys = array();
	foreach ( explode( ',', (string) samtykke_setting( 'SECRET' ) ) as $secret ) {
		$secret = trim( $secret );
		$key    = 0 === strpos( $secret, 'whsec_' ) ? base64_decode( substr( $secret, 6 ), true ) : false;
		if ( is_string( $key ) && strlen( $key ) >= 16 ) {
			$keys[] = $key;
		}
	}
	return $keys;
}

/**
 * Which form of the service a source belongs to. A source that is not listed is not stored and not sent.
 *
 * @param string $plugin Such as `contact-form-7`.
 * @param string $form   The form's number or id in that plugin.
 * @return string '' for none.
 */
function samtykke_target( $plugin, $form ) {
	$forms  = (array) apply_filters( 'samtykke_forms', (array) samtykke_setting( 'FORMS', array() ) );
	$target = isset( $forms[ "$plugin:$form" ] ) ? (string) $forms[ "$plugin:$form" ] : '';
	$fits   = strlen( $plugin ) <= 32 && strlen( $form ) <= 64; // As the outbox has room for them.
	return $fits && preg_match( '/^[a-z0-9-]{1,64}$/', $target ) ? $target : '';
}

/**
 * What this site has for a purpose: `array( 'mailpoet' => 3, 'newsletter' => 'all' )`.
 *
 * @param string $purpose A key of the service's policy.
 * @return array|null An empty array: nothing, and that is known. Null: the purpose is not listed.
 */
function samtykke_lists( $purpose ) {
	$purposes = (array) apply_filters( 'samtykke_purposes', (array) samtykke_setting( 'PURPOSES', array() ) );
	return isset( $purposes[ $purpose ] ) ? (array) $purposes[ $purpose ] : null;
}

/**
 * Whether this is the site it is configured for: a staging copy with the same wp-config.php sends nothing.
 */
function samtykke_is_this_site() {
	$expected = (string) samtykke_setting( 'SITE' );
	return '' === $expected || wp_parse_url( $expected, PHP_URL_HOST ) === wp_parse_url( home_url(), PHP_URL_HOST );
}

/**
 * Whether anything leaves this site.
 */
function samtykke_may_send() {
	return samtykke_is_this_site() && array() !== samtykke_keys() && '' !== (string) samtykke_setting( 'URL' );
}

/* 2 Tables ---------------------------------------------------------------------------------------------------- */

/**
 * The name of a table of this site. In a network every site has its own.
 *
 * @param string $name `outbox` or `used`.
 */
function samtykke_table( $name ) {
	global $wpdb;
	return $wpdb->prefix . 'samtykke_' . $name;
}

/**
 * Makes the tables once per site. A must-use plugin is never activated, so the first request does it.
 */
function samtykke_create_tables() {
	global $wpdb;
	if ( wp_installing() || SAMTYKKE_SCHEMA === get_option( 'samtykke_schema' ) ) {
		return;
	}
	$outbox  = samtykke_table( 'outbox' );
	$used    = samtykke_table( 'used' );
	$charset = $wpdb->get_charset_collate();
	$wpdb->query(
		"CREATE TABLE IF NOT EXISTS $outbox (
			number bigint unsigned NOT NULL AUTO_INCREMENT,
			source varchar(191) NOT NULL,
			message_id varchar(64) NOT NULL,
			target varchar(64) NOT NULL,
			plugin varchar(32) NOT NULL,
			form varchar(64) NOT NULL,
			entry varchar(90) NOT NULL,
			submitted_at bigint NOT NULL,
			body longtext NOT NULL,
			state varchar(8) NOT NULL,
			attempts int NOT NULL,
			next_at bigint NOT NULL,
			PRIMARY KEY  (number),
			UNIQUE KEY source (source),
			KEY due (state, next_at)
		) $charset"
	);
	$wpdb->query( "CREATE TABLE IF NOT EXISTS $used (id varchar(64) NOT NULL, at bigint NOT NULL, PRIMARY KEY  (id)) $charset" );
	update_option( 'samtykke_schema', SAMTYKKE_SCHEMA );
}

/**
 * Takes an id that nobody may take again. One statement, so of two at once one gets it.
 *
 * @param string $id Such as a webhook-id.
 */
function samtykke_take( $id ) {
	global $wpdb;
	$used = samtykke_table( 'used' );
	$wpdb->query( $wpdb->prepare( "DELETE FROM $used WHERE at < %d", time() - 2 * SAMTYKKE_SKEW_MAX_S ) );
	$taken = $wpdb->query(
		$wpdb->prepare( "INSERT IGNORE INTO $used (id, at) VALUES (%s, %d)", hash( 'sha256', $id ), time() )
	);
	return 1 === $taken;
}

/**
 * Gives an id back that was taken for the length of a task.
 *
 * @param string $id As it was taken.
 */
function samtykke_release( $id ) {
	global $wpdb;
	$wpdb->delete( samtykke_table( 'used' ), array( 'id' => hash( 'sha256', $id ) ) );
}

/* 3 Signatures ------------------------------------------------------------------------------------------------ */

/**
 * Standard Webhooks: `v1,base64(HMAC-SHA256(key, "id.timestamp.body"))`, https://www.standardwebhooks.com.
 *
 * @param string $key  Binary.
 * @param string $id   webhook-id.
 * @param string $at_s webhook-timestamp, seconds as text.
 * @param string $body The bytes that are sent.
 */
function samtykke_signature( $key, $id, $at_s, $body ) {
	return 'v1,' . base64_encode( hash_hmac( 'sha256', "$id.$at_s.$body", $key, true ) );
}

/**
 * Whether one of our keys made one of the signatures in the header, and lately.
 *
 * @param string $id     webhook-id.
 * @param string $at_s   webhook-timestamp.
 * @param string $header webhook-signature: one or several, with spaces between.
 * @param string $body   The bytes that came.
 */
function samtykke_is_signed( $id, $at_s, $header, $body ) {
	if ( '' === $id || strlen( $id ) > 200 || ! preg_match( '/^[0-9]{1,12}$/', $at_s ) ) {
		return false;
	}
	if ( abs( time() - (int) $at_s ) > SAMTYKKE_SKEW_MAX_S ) {
		return false;
	}
	$matches = false;
	foreach ( samtykke_keys() as $key ) {
		$expected = samtykke_signature( $key, $id, $at_s, $body );
		foreach ( array_slice( explode( ' ', $header ), 0, 10 ) as $signature ) {
			$matches = hash_equals( $expected, $signature ) || $matches;
		}
	}
	return $matches;
}

/* 4 Outbox ---------------------------------------------------------------------------------------------------- */

/**
 * Keeps one submission until the service has answered 200. The same plugin, form and entry is kept once.
 *
 * @param string   $plugin       Such as `contact-form-7`.
 * @param string   $form         The form's number or id.
 * @param string   $entry        The submission's number; '' where the plugin has none.
 * @param array    $fields       Name to text, list of texts, or the same again.
 * @param int|null $submitted_at Unix seconds; null is now.
 */
function samtykke_submit( $plugin, $form, $entry, array $fields, $submitted_at = null ) {
	global $wpdb;
	$form   = (string) $form;
	$target = samtykke_target( $plugin, $form );
	if ( '' === $target || ! samtykke_is_this_site() ) {
		return;
	}
	$entry        = in_array( (string) $entry, array( '', '0' ), true ) ? samtykke_entry_of_request( $fields ) : (string) $entry;
	$entry        = strlen( $entry ) <= 90 ? $entry : hash( 'sha256', $entry );
	$submitted_at = null === $submitted_at ? time() : (int) $submitted_at;
	$body         = wp_json_encode(
		array(
			'type'         => 'submission',
			'site'         => home_url(),
			'plugin'       => $plugin,
			'form'         => $form,
			'entry'        => $entry,
			'submitted_at' => gmdate( 'Y-m-d\TH:i:s\Z', $submitted_at ),
			'fields'       => (object) samtykke_plain( (array) apply_filters( 'samtykke_fields', $fields, $plugin, $form ) ),
		),
		JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE
	);
	$outbox       = samtykke_table( 'outbox' );
	$statement    = $wpdb->prepare(
		"INSERT IGNORE INTO $outbox (source, message_id, target, plugin, form, entry, submitted_at, body, state, attempts, next_at)
		VALUES (%s, %s, %s, %s, %s, %s, %d, %s, 'waiting', 0, 0)",
		"$plugin:$form:$entry",
		'msg_' . bin2hex( random_bytes( 16 ) ),
		$target,
		$plugin,
		$form,
		$entry,
		$submitted_at,
		(string) $body
	);
	$was_silent   = $wpdb->suppress_errors(); // It would log the statement, and with it what the visitor wrote.
	$kept         = $wpdb->query( $statement );
	if ( false === $kept ) { // Such as after an import of the database without our tables.
		delete_option( 'samtykke_schema' );
		samtykke_create_tables();
		$kept = $wpdb->query( $statement );
	}
	$number = (int) $wpdb->insert_id;
	$wpdb->suppress_errors( $was_silent );
	if ( 1 === $kept ) {
		samtykke_hurry( $number );
	} elseif ( false === $kept ) {
		error_log( "samtykke: a submission of $plugin $form could not be kept" );
	}
}

/**
 * A number for a submission of a plugin that gives none: equal when a hook fires twice in one request, never else.
 *
 * @param array $fields What was sent.
 */
function samtykke_entry_of_request( array $fields ) {
	$moment = isset( $_SERVER['REQUEST_TIME_FLOAT'] ) ? (string) $_SERVER['REQUEST_TIME_FLOAT'] : (string) microtime( true );
	return substr( hash_hmac( 'sha256', $moment . wp_json_encode( $fields ), wp_salt() ), 0, 32 );
}

/**
 * Values as the service reads them: texts, lists of texts, objects. Not ticked is an empty text.
 *
 * @param array $fields As a form plugin has them.
 */
function samtykke_plain( array $fields ) {
	$plain = array();
	foreach ( $fields as $name => $value ) {
		$name = str_replace( '[]', '', (string) $name );
		if ( is_object( $value ) ) {
			$value = get_object_vars( $value );
		}
		if ( ! is_array( $value ) ) {
			$plain[ $name ] = is_bool( $value ) ? ( $value ? '1' : '' ) : (string) $value;
			continue;
		}
		if ( array_keys( $value ) !== range( 0, count( $value ) - 1 ) ) {
			$plain[ $name ] = array() === $value ? '' : (object) samtykke_plain( $value );
			continue;
		}
		$texts          = array_values( array_map( 'strval', array_filter( $value, 'is_scalar' ) ) );
		$plain[ $name ] = 1 === count( $texts ) ? $texts[0] : $texts;
	}
	return $plain;
}

/**
 * Sends a new submission as soon as the visitor has the answer; where the server cannot do that, WordPress' cron does.
 *
 * @param int $number Of the row.
 */
function samtykke_hurry( $number ) {
	if ( function_exists( 'fastcgi_finish_request' ) ) {
		add_action(
			'shutdown',
			static function () use ( $number ) {
				fastcgi_finish_request();
				samtykke_flush( $number );
			},
			PHP_INT_MAX
		);
		return;
	}
	wp_schedule_single_event( time(), 'samtykke_flush', array( $number ) );
	if ( ! ( defined( 'DISABLE_WP_CRON' ) && DISABLE_WP_CRON ) && ! wp_doing_cron() ) {
		add_action( 'shutdown', 'spawn_cron', PHP_INT_MAX );
	}
}

/**
 * Sends what is due, oldest first, until the time is over.
 *
 * @param int $number One row, or 0 for all.
 */
function samtykke_flush( $number = 0 ) {
	global $wpdb;
	if ( ! samtykke_may_send() ) {
		return;
	}
	$outbox = samtykke_table( 'outbox' );
	$stop   = microtime( true ) + SAMTYKKE_FLUSH_S;
	$only   = $number ? $wpdb->prepare( 'AND number = %d', $number ) : '';
	$rows   = $wpdb->get_results(
		$wpdb->prepare( "SELECT * FROM $outbox WHERE state = 'waiting' AND next_at <= %d $only ORDER BY number LIMIT 50", time() )
	);
	foreach ( $rows as $row ) {
		if ( microtime( true ) > $stop ) {
			break;
		}
		samtykke_deliver( $row );
	}
	if ( ! $number ) {
		$wpdb->query( $wpdb->prepare( "DELETE FROM $outbox WHERE state <> 'waiting' AND submitted_at < %d", time() - SAMTYKKE_KEEP_S ) );
	}
}

/**
 * One attempt. Nobody else makes it at the same time, and its content goes when the service has it.
 *
 * @param object $row Of the outbox.
 */
function samtykke_deliver( $row ) {
	global $wpdb;
	$outbox  = samtykke_table( 'outbox' );
	$pause_s = min( SAMTYKKE_BACKOFF_MAX_S, MINUTE_IN_SECONDS * 2 ** min( 10, (int) $row->attempts ) );
	$claimed = $wpdb->query(
		$wpdb->prepare(
			"UPDATE $outbox SET attempts = attempts + 1, next_at = %d WHERE number = %d AND attempts = %d AND state = 'waiting'",
			time() + $pause_s,
			$row->number,
			$row->attempts
		)
	);
	if ( 1 !== $claimed ) {
		return;
	}
	if ( 200 === samtykke_post( $row->target, $row->message_id, $row->body ) ) {
		$wpdb->update( $outbox, array( 'state' => 'sent', 'body' => '' ), array( 'number' => $row->number ) );
	} elseif ( (int) $row->attempts + 1 >= SAMTYKKE_ATTEMPTS_MAX ) {
		$wpdb->update( $outbox, array( 'state' => 'dead' ), array( 'number' => $row->number ) );
	}
}

/**
 * The status that the service answers, or 0 when it cannot be reached. Its words are not kept: they may name a person.
 *
 * @param string $target     The service's form.
 * @param string $message_id The same at every attempt, so that a second one is the same delivery.
 * @param string $body       JSON.
 */
function samtykke_post( $target, $message_id, $body ) {
	$at_s       = (string) time();
	$signatures = array();
	foreach ( samtykke_keys() as $key ) {
		$signatures[] = samtykke_signature( $key, $message_id, $at_s, $body );
	}
	$answer = wp_remote_post(
		rtrim( (string) samtykke_setting( 'URL' ), '/' ) . '/webhooks/forms/' . $target,
		array(
			'timeout'     => SAMTYKKE_TIMEOUT_S,
			'redirection' => 0,
			'headers'     => array(
				'Content-Type'      => 'application/json',
				'webhook-id'        => $message_id,
				'webhook-timestamp' => $at_s,
				'webhook-signature' => implode( ' ', $signatures ),
			),
			'body'        => $body,
		)
	);
	return (int) wp_remote_retrieve_response_code( $answer );
}

/**
 * How many are waiting, how many were given up, and since when the oldest waits.
 *
 * @return array{waiting: int, dead: int, oldest_waiting_s: int|null}
 */
function samtykke_outbox_figures() {
	global $wpdb;
	$outbox = samtykke_table( 'outbox' );
	$found  = $wpdb->get_results( "SELECT state, COUNT(*) AS rows_found, MIN(submitted_at) AS oldest FROM $outbox WHERE state IN ('waiting', 'dead') GROUP BY state", OBJECT_K );
	return array(
		'waiting'          => isset( $found['waiting'] ) ? (int) $found['waiting']->rows_found : 0,
		'dead'             => isset( $found['dead'] ) ? (int) $found['dead']->rows_found : 0,
		'oldest_waiting_s' => isset( $found['waiting'] ) ? max( 0, time() - (int) $found['waiting']->oldest ) : null,
	);
}

/**
 * The minute that WordPress' cron lacks.
 *
 * @param array $schedules Of WordPress.
 */
function samtykke_schedules( $schedules ) {
	$schedules['samtykke_minute'] = array(
		'interval' => MINUTE_IN_SECONDS,
		'display'  => 'Samtykke: every minute',
	);
	return $schedules;
}

/**
 * Plans the flush of every minute, if it is not planned yet.
 */
function samtykke_plan() {
	if ( ! wp_next_scheduled( 'samtykke_flush' ) ) {
		wp_schedule_event( time() + MINUTE_IN_SECONDS, 'samtykke_minute', 'samtykke_flush' );
	}
}

/* 5 Forms and other sources ----------------------------------------------------------------------------------- */

/**
 * Contact Form 7. Before its mail, for its mail may fail.
 *
 * @param object $form WPCF7_ContactForm.
 */
function samtykke_from_contact_form_7( $form ) {
	$submission = class_exists( 'WPCF7_Submission' ) ? WPCF7_Submission::get_instance() : null;
	if ( $submission ) {
		samtykke_submit( 'contact-form-7', $form->id(), '', (array) $submission->get_posted_data(), $submission->get_meta( 'timestamp' ) );
	}
}

/**
 * Gravity Forms: fields by their number, `1.3` is a part of field 1.
 *
 * @param array $entry The entry as it is stored.
 * @param array $form  The form.
 */
function samtykke_from_gravity_forms( $entry, $form ) {
	if ( isset( $entry['status'] ) && 'spam' === $entry['status'] ) {
		return;
	}
	$fields = array_filter( $entry, 'is_numeric', ARRAY_FILTER_USE_KEY );
	$at     = isset( $entry['date_created'] ) ? strtotime( $entry['date_created'] . ' UTC' ) : false;
	samtykke_submit( 'gravityforms', $form['id'], $entry['id'], $fields, false === $at ? null : $at );
}

/**
 * WPForms: fields by their number; of a name field its parts, of several ticks a list. Its Lite has no entry number.
 *
 * @param array $fields    Number to name, value, type and parts.
 * @param array $entry     What was posted.
 * @param array $form_data The form.
 * @param int   $entry_id  0 in Lite.
 */
function samtykke_from_wpforms( $fields, $entry, $form_data, $entry_id ) {
	$values = array();
	foreach ( $fields as $number => $field ) {
		$value = isset( $field['value'] ) ? $field['value'] : '';
		if ( isset( $field['first'] ) || isset( $field['last'] ) ) {
			$parts = array_intersect_key( $field, array_flip( array( 'first', 'middle', 'last' ) ) );
			$value = array( 'value' => $value ) + $parts;
		} elseif ( is_string( $value ) && isset( $field['type'] ) && 'checkbox' === $field['type'] ) {
			$value = '' === $value ? '' : explode( "\n", $value );
		}
		$values[ $number ] = $value;
	}
	samtykke_submit( 'wpforms', $form_data['id'], $entry_id, $values );
}

/**
 * Elementor Pro: fields by their own id, so that a new label changes nothing.
 *
 * @param object $record ElementorPro\Modules\Forms\Classes\Form_Record.
 */
function samtykke_from_elementor( $record ) {
	$values = array();
	foreach ( (array) $record->get( 'fields' ) as $id => $field ) {
		$values[ $id ] = isset( $field['raw_value'] ) ? $field['raw_value'] : $field['value'];
	}
	samtykke_submit( 'elementor', $record->get_form_settings( 'id' ), '', $values );
}

/**
 * Fluent Forms: it leaves out what is not ticked, so the form says which boxes there were.
 *
 * @param int    $entry_id Of the submission.
 * @param array  $data     What was posted; names with _ in front are its own.
 * @param object $form     With `form_fields` as JSON.
 */
function samtykke_from_fluent_forms( $entry_id, $data, $form ) {
	$values = array();
	$fields = isset( $form->form_fields ) ? json_decode( $form->form_fields, true ) : null;
	array_walk_recursive(
		$fields,
		static function ( $value, $key ) use ( &$values ) {
			if ( 'name' === $key && is_string( $value ) && '' !== $value ) {
				$values[ $value ] = '';
			}
		}
	);
	foreach ( $data as $name => $value ) {
		if ( '_' !== substr( (string) $name, 0, 1 ) ) {
			$values[ $name ] = $value;
		}
	}
	samtykke_submit( 'fluentform', $form->id, $entry_id, $values );
}

/**
 * Formidable: fields by their key. A repeated section is an entry of its own, which we leave out.
 *
 * @param int   $entry_id Of the entry.
 * @param int   $form_id  Of the form.
 * @param array $options  `is_child` of a repeated section.
 */
function samtykke_from_formidable( $entry_id, $form_id, $options = array() ) {
	if ( ! empty( $options['is_child'] ) || ! class_exists( 'FrmEntry' ) || ! class_exists( 'FrmField' ) ) {
		return;
	}
	$entry  = FrmEntry::getOne( $entry_id, true );
	$values = array();
	foreach ( FrmField::get_all_for_form( $form_id ) as $field ) {
		$values[ $field->field_key ] = isset( $entry->metas[ $field->id ] ) ? $entry->metas[ $field->id ] : '';
	}
	samtykke_submit( 'formidable', $form_id, $entry_id, $values );
}

/**
 * Ninja Forms: fields by their key.
 *
 * @param array $data The form, its fields and what its actions did.
 */
function samtykke_from_ninja_forms( $data ) {
	$values = array();
	foreach ( $data['fields'] as $field ) {
		$value                   = isset( $field['value'] ) ? $field['value'] : '';
		$values[ $field['key'] ] = 0 === $value ? '' : $value;
	}
	$entry_id = isset( $data['actions']['save']['sub_id'] ) ? $data['actions']['save']['sub_id'] : '';
	samtykke_submit( 'ninja-forms', $data['form_id'], $entry_id, $values );
}

/**
 * Forminator: it leaves out what is not ticked, so the form says which fields there are.
 *
 * @param object $entry   Forminator_Form_Entry_Model, with its number.
 * @param int    $form_id Of the form.
 * @param array  $data    List of name and value.
 */
function samtykke_from_forminator( $entry, $form_id, $data ) {
	$values = array();
	if ( class_exists( 'Forminator_API' ) ) {
		$fields = Forminator_API::get_form_fields( $form_id );
		foreach ( is_array( $fields ) ? $fields : array() as $field ) {
			$values[ $field->slug ] = '';
		}
	}
	foreach ( $data as $field ) {
		if ( isset( $field['name'] ) && '_' !== substr( $field['name'], 0, 1 ) ) {
			$values[ $field['name'] ] = isset( $field['value'] ) ? $field['value'] : '';
		}
	}
	samtykke_submit( 'forminator', $form_id, isset( $entry->entry_id ) ? $entry->entry_id : '', $values );
}

/**
 * WS Form: fields as `field_<number>`.
 *
 * @param object $submit WS_Form_Submit.
 */
function samtykke_from_ws_form( $submit ) {
	$values = array();
	foreach ( (array) $submit->meta as $name => $field ) {
		if ( 0 === strpos( (string) $name, 'field_' ) ) {
			$values[ $name ] = is_array( $field ) && array_key_exists( 'value', $field ) ? $field['value'] : $field;
		}
	}
	samtykke_submit( 'ws-form', $submit->form_id, isset( $submit->id ) ? $submit->id : '', $values );
}

/**
 * Jetpack Forms: fields by their id. The form is known by the post that it stands in.
 *
 * @param int   $post_id Of the feedback.
 * @param array $fields  Id to field, with its value.
 * @param bool  $is_spam What Akismet says.
 */
function samtykke_from_jetpack( $post_id, $fields, $is_spam ) {
	if ( $is_spam ) {
		return;
	}
	$values = array();
	foreach ( $fields as $id => $field ) {
		$values[ $id ] = is_object( $field ) && isset( $field->value ) ? $field->value : $field;
	}
	samtykke_submit( 'jetpack', (string) wp_get_post_parent_id( $post_id ), $post_id, $values );
}

/**
 * MailPoet: somebody has unsubscribed by its own link.
 *
 * @param int $subscriber_id Of MailPoet.
 */
function samtykke_from_mailpoet( $subscriber_id ) {
	$subscriber = samtykke_call() ? null : samtykke_mailpoet_subscriber( $subscriber_id );
	if ( $subscriber && 'unsubscribed' === $subscriber['status'] ) {
		samtykke_submit( 'mailpoet', 'unsubscribed', '', array( 'email' => $subscriber['email'] ) );
	}
}

/**
 * The Newsletter Plugin: somebody has unsubscribed by its own link.
 *
 * @param object $user Of that plugin.
 */
function samtykke_from_newsletter( $user ) {
	if ( ! samtykke_call() && isset( $user->email ) ) {
		samtykke_submit( 'newsletter', 'unsubscribed', '', array( 'email' => $user->email ) );
	}
}

/**
 * The Newsletter Plugin: somebody has confirmed a sign-up of its own.
 *
 * @param object $user Of that plugin.
 */
function samtykke_from_newsletter_sign_up( $user ) {
	if ( ! samtykke_call() && isset( $user->email ) ) {
		$first = isset( $user->name ) ? $user->name : '';
		$last  = isset( $user->surname ) ? $user->surname : '';
		samtykke_submit( 'newsletter', 'confirmed', '', array( 'email' => $user->email, 'first_name' => $first, 'last_name' => $last, 'newsletter' => '1' ) );
	}
}

/**
 * WooCommerce: an order is completed. What a checkout box wrote is in `meta`.
 *
 * @param int         $order_id Of the order.
 * @param object|null $order    WC_Order.
 */
function samtykke_from_order( $order_id, $order = null ) {
	$order = $order ? $order : ( function_exists( 'wc_get_order' ) ? wc_get_order( $order_id ) : null );
	if ( ! $order || $order->get_meta( '_samtykke_reference' ) ) { // What the service ordered, it knows.
		return;
	}
	$meta = array();
	foreach ( $order->get_meta_data() as $item ) {
		$meta[ $item->key ] = is_scalar( $item->value ) ? $item->value : '';
	}
	$fields = array(
		'email'      => $order->get_billing_email(),
		'first_name' => $order->get_billing_first_name(),
		'last_name'  => $order->get_billing_last_name(),
		'company'    => $order->get_billing_company(),
		'meta'       => $meta,
	);
	samtykke_submit( 'woocommerce', 'order', $order_id, $fields );
}

/**
 * WooCommerce: somebody has made an account.
 *
 * @param int $customer_id A user's number.
 */
function samtykke_from_customer( $customer_id ) {
	$user = get_userdata( $customer_id );
	if ( $user && ! samtykke_call() ) {
		samtykke_submit( 'woocommerce', 'customer', $customer_id, array( 'email' => $user->user_email, 'first_name' => $user->first_name, 'last_name' => $user->last_name ) );
	}
}

/**
 * WordPress' own privacy requests: confirmed by the person's mailed link, or carried out by an administrator.
 *
 * @param int $request_id Of WordPress.
 */
function samtykke_from_privacy_request( $request_id ) {
	$request = wp_get_user_request( $request_id );
	if ( $request && is_email( $request->email ) ) {
		samtykke_submit( 'wordpress', $request->action_name, $request_id, array( 'email' => $request->email ) );
	}
}

/**
 * Listens, without letting an error of ours reach the visitor's form.
 *
 * @param string $hook      Of the plugin.
 * @param string $callback  One of ours.
 * @param int    $arguments How many it takes.
 * @param int    $priority  Of the hook.
 */
function samtykke_listen( $hook, $callback, $arguments, $priority = 10 ) {
	add_action(
		$hook,
		static function () use ( $callback, $arguments ) {
			try {
				call_user_func_array( $callback, array_slice( func_get_args(), 0, $arguments ) );
			} catch ( Throwable $error ) {
				// Its message may hold what the visitor wrote.
				error_log( 'samtykke: ' . $callback . ': ' . get_class( $error ) );
			}
		},
		$priority,
		$arguments
	);
}

/**
 * Every source.
 */
function samtykke_listen_to_all() {
	samtykke_listen( 'wpcf7_before_send_mail', 'samtykke_from_contact_form_7', 1 );
	samtykke_listen( 'gform_after_submission', 'samtykke_from_gravity_forms', 2 );
	samtykke_listen( 'wpforms_process_complete', 'samtykke_from_wpforms', 4 );
	samtykke_listen( 'elementor_pro/forms/new_record', 'samtykke_from_elementor', 1 );
	samtykke_listen( 'fluentform/submission_inserted', 'samtykke_from_fluent_forms', 3 );
	samtykke_listen( 'frm_after_create_entry', 'samtykke_from_formidable', 3, 30 );
	samtykke_listen( 'ninja_forms_after_submission', 'samtykke_from_ninja_forms', 1 );
	samtykke_listen( 'forminator_custom_form_submit_before_set_fields', 'samtykke_from_forminator', 3 );
	samtykke_listen( 'wsf_submit_post_complete', 'samtykke_from_ws_form', 1 );
	samtykke_listen( 'grunion_after_feedback_post_inserted', 'samtykke_from_jetpack', 3 );
	samtykke_listen( 'mailpoet_subscriber_status_changed', 'samtykke_from_mailpoet', 1 );
	samtykke_listen( 'newsletter_unsubscribed', 'samtykke_from_newsletter', 1 );
	samtykke_listen( 'newsletter_user_confirmed', 'samtykke_from_newsletter_sign_up', 1 );
	samtykke_listen( 'woocommerce_order_status_completed', 'samtykke_from_order', 2 );
	samtykke_listen( 'woocommerce_created_customer', 'samtykke_from_customer', 1 );
	samtykke_listen( 'user_request_action_confirmed', 'samtykke_from_privacy_request', 1, 20 );
	samtykke_listen( 'wp_privacy_personal_data_erased', 'samtykke_from_privacy_request', 1 );
}

/* 6 Calls from the service ------------------------------------------------------------------------------------ */

/**
 * The routes, each with what its body must hold beside `route`.
 *
 * @return array<string, string[]>
 */
function samtykke_routes() {
	$person = array( 'reference', 'emails' );
	return array(
		'about'      => array(),
		'status'     => array( 'reference', 'emails', 'purposes' ),
		'withdraw'   => array( 'reference', 'emails', 'purposes' ),
		'give'       => array( 'reference', 'emails', 'purposes' ),
		'restrict'   => $person,
		'unrestrict' => $person,
		'rectify'    => array( 'reference', 'emails', 'profile' ),
		'grant'      => $person,
		'revoke'     => $person,
		'erasers'    => array(),
		'erase'      => array( 'reference', 'email', 'eraser', 'page' ),
		'exporters'  => array(),
		'export'     => array( 'email', 'exporter', 'page' ),
		'account'    => array( 'email' ),
		'outbox'     => array( 'after' ),
	);
}

/**
 * The route that is asked for, or '' when this request is none of ours.
 */
function samtykke_requested_route() {
	$plain = isset( $_GET['rest_route'] ) && is_string( $_GET['rest_route'] ) ? $_GET['rest_route'] : '';
	$path  = isset( $_SERVER['REQUEST_URI'] ) ? (string) wp_parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ) : '';
	$asked = '' !== $plain ? '/wp-json' . $plain : $path;
	if ( ! preg_match( '#/wp-json/samtykke/v1/([a-z]+)/?$#', $asked, $found ) ) {
		return '';
	}
	return array_key_exists( $found[1], samtykke_routes() ) ? $found[1] : '';
}

/**
 * The call that this request is, once its signature was found good: `route` and `body`. Null: it is none.
 *
 * @param array|null $admitted Set by samtykke_admit(), once.
 * @return array|null
 */
function samtykke_call( $admitted = null ) {
	static $call = null;
	$call = null === $admitted ? $call : $admitted;
	return $call;
}

/**
 * Verifies a call while no other plugin is loaded yet, and makes this one request an administrator's.
 *
 * Many plugins bring their erasers and exporters only where is_admin() is true: in a plain REST request two of six were
 * there (WordPress 6.8 with Gravity Forms, Formidable, Flamingo and Forminator).
 */
function samtykke_admit() {
	$route = samtykke_requested_route();
	if ( '' === $route || ! isset( $_SERVER['REQUEST_METHOD'] ) || 'POST' !== $_SERVER['REQUEST_METHOD'] ) {
		return;
	}
	$body   = (string) file_get_contents( 'php://input', false, null, 0, SAMTYKKE_BODY_MAX_BYTES + 1 );
	$id     = isset( $_SERVER['HTTP_WEBHOOK_ID'] ) ? (string) $_SERVER['HTTP_WEBHOOK_ID'] : '';
	$at_s   = isset( $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ) ? (string) $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] : '';
	$header = isset( $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ) ? (string) $_SERVER['HTTP_WEBHOOK_SIGNATURE'] : '';
	if ( strlen( $body ) > SAMTYKKE_BODY_MAX_BYTES || ! samtykke_is_signed( $id, $at_s, $header, $body ) ) {
		return;
	}
	$document = json_decode( $body, true, 16 );
	if ( is_array( $document ) && isset( $document['route'] ) && SAMTYKKE_ROUTE . $route !== $document['route'] ) {
		return; // Signed for another route.
	}
	if ( ! samtykke_take( $id ) ) {
		return;
	}
	samtykke_call( array( 'route' => $route, 'body' => $document ) );
	if ( ! defined( 'WP_ADMIN' ) ) {
		define( 'WP_ADMIN', true );
	}
}

/**
 * Registers the routes. Nobody who is only logged in may use them.
 */
function samtykke_register_routes() {
	foreach ( array_keys( samtykke_routes() ) as $route ) {
		register_rest_route(
			'samtykke/v1',
			'/' . $route,
			array(
				'methods'             => 'POST',
				'permission_callback' => static function () use ( $route ) {
					$call = samtykke_call();
					return $call && $call['route'] === $route;
				},
				'callback'            => 'samtykke_answer',
				'show_in_index'       => false,
			)
		);
	}
}

/**
 * Refuses before WordPress looks at the body, so that only who can sign learns what is wrong with it.
 *
 * @param mixed           $result  Null, or an answer that somebody else has already.
 * @param WP_REST_Server  $server  Of WordPress.
 * @param WP_REST_Request $request Of WordPress.
 * @return mixed
 */
function samtykke_guard( $result, $server, $request ) {
	if ( 0 !== strpos( $request->get_route(), '/samtykke/v1/' ) || 'POST' !== $request->get_method() ) {
		return $result;
	}
	$name = substr( $request->get_route(), strlen( '/samtykke/v1/' ) );
	if ( ! array_key_exists( $name, samtykke_routes() ) ) {
		return $result;
	}
	$call = samtykke_call();
	if ( ! $call || $call['route'] !== $name ) {
		return new WP_Error( 'samtykke_unauthorized', 'The signature is not valid.', array( 'status' => 401 ) );
	}
	return samtykke_is_body( $call['body'], $name ) ? $result : samtykke_invalid();
}

/**
 * The answer to a body that is not as the protocol says.
 */
function samtykke_invalid() {
	return new WP_Error( 'samtykke_invalid', 'The body is not as expected.', array( 'status' => 400 ) );
}

/**
 * Whether a body holds what its route needs, each of its kind.
 *
 * @param mixed  $body  The document.
 * @param string $route Its route.
 */
function samtykke_is_body( $body, $route ) {
	$routes = samtykke_routes();
	if ( ! is_array( $body ) || ! isset( $body['route'] ) || SAMTYKKE_ROUTE . $route !== $body['route'] ) {
		return false;
	}
	foreach ( $routes[ $route ] as $name ) {
		if ( ! isset( $body[ $name ] ) || ! samtykke_is_member( $name, $body[ $name ] ) ) {
			return false;
		}
	}
	if ( in_array( $route, array( 'grant', 'revoke' ), true ) || isset( $body['role'] ) || isset( $body['woocommerce_product'] ) ) {
		$role    = isset( $body['role'] ) && is_string( $body['role'] ) && preg_match( '/^[a-z0-9_-]{1,64}$/', $body['role'] );
		$product = isset( $body['woocommerce_product'] ) && is_int( $body['woocommerce_product'] );
		return (bool) $role !== $product;
	}
	return true;
}

/**
 * Whether one member of a body is of its kind.
 *
 * @param string $name  Its name.
 * @param mixed  $value Its value.
 */
function samtykke_is_member( $name, $value ) {
	switch ( $name ) {
		case 'emails':
			return is_array( $value ) && array() !== $value && array_filter( $value, 'samtykke_is_address' ) === $value;
		case 'email':
			return samtykke_is_address( $value );
		case 'purposes':
			return is_array( $value ) && array() !== $value && array_filter( $value, 'samtykke_is_key' ) === $value;
		case 'profile':
			return is_array( $value ) && array_filter( $value, 'is_string' ) === $value
				&& ( empty( $value['email'] ) || samtykke_is_address( $value['email'] ) );
		case 'page':
			return is_int( $value ) && $value >= 1;
		case 'after':
			return is_int( $value ) && $value >= 0;
		default:
			return is_string( $value ) && '' !== $value && strlen( $value ) <= 200;
	}
}

/**
 * Whether a value may be an address. More than WordPress lets an account have: a list may know `zoë@example.test`.
 *
 * @param mixed $value Any.
 */
function samtykke_is_address( $value ) {
	return is_string( $value ) && strlen( $value ) <= 320 && 1 === preg_match( '/^[^@\s]+@[^@\s]+$/', $value );
}

/**
 * Whether a value is the key of a purpose.
 *
 * @param mixed $value Any.
 */
function samtykke_is_key( $value ) {
	return is_string( $value ) && 1 === preg_match( '/^[a-z][a-z0-9_]{0,63}$/', $value );
}

/**
 * Does what an admitted call asks, as the administrator whom the erasers of some plugins ask for.
 *
 * @return array|WP_Error
 */
function samtykke_answer() {
	$call = samtykke_call();
	try {
		require_once ABSPATH . 'wp-admin/includes/user.php';
		require_once ABSPATH . 'wp-admin/includes/plugin.php';
		wp_set_current_user( samtykke_administrator() );
		return call_user_func( 'samtykke_do_' . $call['route'], $call['body'] );
	} catch ( Throwable $error ) {
		error_log( 'samtykke: ' . $call['route'] . ': ' . get_class( $error ) );
		return new WP_Error( 'samtykke_failed', 'The site could not do it.', array( 'status' => 500 ) );
	}
}

/**
 * The number of the user as whom a call acts: SAMTYKKE_USER, or else the first administrator.
 */
function samtykke_administrator() {
	$user = get_user_by( 'login', (string) samtykke_setting( 'USER' ) );
	if ( $user ) {
		return (int) $user->ID;
	}
	$found = get_users( array( 'role' => 'administrator', 'number' => 1, 'orderby' => 'ID', 'fields' => 'ID' ) );
	return $found ? (int) $found[0] : 0;
}

/**
 * How a deed ended, as the protocol says it.
 *
 * @param string      $outcome done, removed, not_found or not_covered.
 * @param string|null $reason  A word, never a sentence.
 */
function samtykke_outcome( $outcome, $reason = null ) {
	return array( 'outcome' => $outcome, 'reason' => $reason );
}

/* 7 What a call may do ---------------------------------------------------------------------------------------- */

/**
 * What this site is.
 */
function samtykke_do_about() {
	$folders = array();
	foreach ( (array) get_option( 'active_plugins', array() ) as $file ) {
		$folders[] = explode( '/', (string) $file )[0];
	}
	foreach ( is_multisite() ? array_keys( (array) get_site_option( 'active_sitewide_plugins', array() ) ) : array() as $file ) {
		$folders[] = explode( '/', (string) $file )[0];
	}
	return array(
		'version'   => SAMTYKKE_VERSION,
		'wordpress' => get_bloginfo( 'version' ),
		'plugins'   => array_values( array_unique( $folders ) ),
		'erasers'   => count( samtykke_registered( 'erasers' ) ),
		'exporters' => count( samtykke_registered( 'exporters' ) ),
		'cron'      => defined( 'DISABLE_WP_CRON' ) && DISABLE_WP_CRON ? 'system' : 'wp',
	);
}

/**
 * What is waiting here, and the entries after a number, so that the service can tell what never arrived.
 *
 * @param array $body `after`.
 */
function samtykke_do_outbox( $body ) {
	global $wpdb;
	$outbox  = samtykke_table( 'outbox' );
	$entries = array();
	$rows    = $wpdb->get_results(
		$wpdb->prepare(
			"SELECT number, message_id, plugin, form, entry, submitted_at, state FROM $outbox WHERE number > %d ORDER BY number LIMIT %d",
			$body['after'],
			SAMTYKKE_OUTBOX_PAGE
		)
	);
	foreach ( $rows as $row ) {
		$entries[] = array(
			'number'       => (int) $row->number,
			'id'           => $row->message_id,
			'plugin'       => $row->plugin,
			'form'         => $row->form,
			'entry'        => $row->entry,
			'submitted_at' => gmdate( 'Y-m-d\TH:i:s\Z', (int) $row->submitted_at ),
			'state'        => $row->state,
		);
	}
	return samtykke_outbox_figures() + array( 'entries' => $entries );
}

/**
 * What this site's lists say of each purpose, over all addresses: one subscription makes it subscribed.
 *
 * @param array $body `emails`, `purposes`.
 */
function samtykke_do_status( $body ) {
	$told = array();
	foreach ( $body['purposes'] as $purpose ) {
		$told[ $purpose ] = samtykke_state( $body['emails'], $purpose );
	}
	return array( 'purposes' => $told );
}

/**
 * Of one purpose: subscribed, unsubscribed or unknown.
 *
 * @param string[] $emails  Of one person.
 * @param string   $purpose A key.
 */
function samtykke_state( array $emails, $purpose ) {
	$states = array();
	foreach ( $emails as $email ) {
		/**
		 * What each list of readers knows. Add 'subscribed' or 'unsubscribed', or nothing.
		 *
		 * @param string[] $states  So far.
		 * @param string   $email   Of the person.
		 * @param string   $purpose A key of the service's policy.
		 */
		$states = array_merge( $states, (array) apply_filters( 'samtykke_states', array(), $email, $purpose ) );
	}
	if ( in_array( 'subscribed', $states, true ) ) {
		return 'subscribed';
	}
	return in_array( 'unsubscribed', $states, true ) ? 'unsubscribed' : 'unknown';
}

/**
 * Whether somebody has said for each purpose what belongs to it on this site.
 *
 * @param string[] $purposes Keys.
 */
function samtykke_is_listed( array $purposes ) {
	foreach ( $purposes as $purpose ) {
		if ( null === samtykke_lists( $purpose ) ) {
			return false;
		}
	}
	return true;
}

/**
 * Takes the addresses off the lists. Once more is harmless: it answers as before.
 *
 * @param array $body `emails`, `purposes`.
 */
function samtykke_do_withdraw( $body ) {
	foreach ( $body['emails'] as $email ) {
		/**
		 * Take this address off your list.
		 *
		 * @param string   $email    Of the person.
		 * @param string[] $purposes Keys of the service's policy.
		 */
		do_action( 'samtykke_withdraw', $email, $body['purposes'] );
	}
	$states = samtykke_do_status( $body )['purposes'];
	if ( in_array( 'subscribed', $states, true ) ) {
		return new WP_Error( 'samtykke_failed', 'It is still subscribed.', array( 'status' => 500 ) );
	}
	if ( ! samtykke_is_listed( $body['purposes'] ) ) {
		return samtykke_outcome( 'not_covered', 'purpose_without_list' );
	}
	return samtykke_outcome( in_array( 'unsubscribed', $states, true ) ? 'removed' : 'not_found' );
}

/**
 * Puts the person's newest address on the lists.
 *
 * @param array $body `emails`, `purposes`.
 */
function samtykke_do_give( $body ) {
	if ( ! samtykke_is_listed( $body['purposes'] ) ) {
		return samtykke_outcome( 'not_covered', 'purpose_without_list' );
	}
	/**
	 * Put this address on your list. The person has confirmed it already: ask nothing.
	 *
	 * @param string   $email    Of the person.
	 * @param string[] $purposes Keys of the service's policy.
	 */
	do_action( 'samtykke_give', $body['emails'][0], $body['purposes'] );
	foreach ( samtykke_do_status( $body )['purposes'] as $purpose => $state ) {
		if ( 'subscribed' !== $state && array() !== samtykke_lists( $purpose ) ) {
			return samtykke_outcome( 'not_covered', 'not_subscribed' );
		}
	}
	return samtykke_outcome( 'done' );
}

/**
 * Whether what is held about an address may only be stored. For themes and plugins.
 *
 * @param string $email Of the person.
 */
function samtykke_is_restricted( $email ) {
	$user = get_user_by( 'email', $email );
	return (bool) apply_filters( 'samtykke_is_restricted', $user && get_user_meta( $user->ID, 'samtykke_restricted', true ), $email );
}

/**
 * Restricts, or lifts it.
 *
 * @param array $body          `emails`.
 * @param bool  $is_restricted What shall be so.
 */
function samtykke_do_restrict( $body, $is_restricted = true ) {
	$found = false;
	foreach ( $body['emails'] as $email ) {
		$was  = samtykke_is_restricted( $email );
		$user = get_user_by( 'email', $email );
		if ( $user && $is_restricted ) {
			update_user_meta( $user->ID, 'samtykke_restricted', '1' );
		} elseif ( $user ) {
			delete_user_meta( $user->ID, 'samtykke_restricted' );
		}
		/**
		 * Stop using what you hold about this address, or begin again. Say by `samtykke_is_restricted` how it is.
		 *
		 * @param string $email         Of the person.
		 * @param bool   $is_restricted What shall be so.
		 */
		do_action( 'samtykke_restrict', $email, $is_restricted );
		$found = $found || $user || $was || samtykke_is_restricted( $email );
	}
	$purposes = array_keys( (array) apply_filters( 'samtykke_purposes', (array) samtykke_setting( 'PURPOSES', array() ) ) );
	foreach ( $is_restricted ? $purposes : array() as $purpose ) {
		if ( 'subscribed' === samtykke_state( $body['emails'], $purpose ) ) {
			return samtykke_outcome( 'not_covered', 'still_subscribed' ); // A list cannot pause: a person decides.
		}
	}
	return samtykke_outcome( $found ? 'done' : 'not_found' );
}

/**
 * Lifts a restriction.
 *
 * @param array $body `emails`.
 */
function samtykke_do_unrestrict( $body ) {
	return samtykke_do_restrict( $body, false );
}

/* 8 Lists of readers ------------------------------------------------------------------------------------------ */

/**
 * The lists of one plugin that belong to these purposes.
 *
 * @param string   $plugin   `mailpoet` or `newsletter`.
 * @param string[] $purposes Keys.
 * @return string[]
 */
function samtykke_lists_of( $plugin, array $purposes ) {
	$lists = array();
	foreach ( $purposes as $purpose ) {
		$of    = (array) samtykke_lists( $purpose );
		$lists = array_merge( $lists, isset( $of[ $plugin ] ) ? (array) $of[ $plugin ] : array() );
	}
	return array_values( array_unique( array_map( 'strval', $lists ) ) );
}

/**
 * MailPoet's own interface for other plugins, or null without MailPoet.
 *
 * Source: github.com/mailpoet/mailpoet, doc/api_methods.
 */
function samtykke_mailpoet() {
	return class_exists( '\MailPoet\API\API' ) ? \MailPoet\API\API::MP( 'v1' ) : null;
}

/**
 * What MailPoet holds about an address or number, or null.
 *
 * @param string|int $key Address or number.
 */
function samtykke_mailpoet_subscriber( $key ) {
	$mailpoet = samtykke_mailpoet();
	if ( ! $mailpoet ) {
		return null;
	}
	try {
		return $mailpoet->getSubscriber( $key );
	} catch ( \MailPoet\API\MP\v1\APIException $error ) {
		if ( \MailPoet\API\MP\v1\APIException::SUBSCRIBER_NOT_EXISTS === $error->getCode() ) {
			return null;
		}
		throw $error;
	}
}

/**
 * What MailPoet's lists say. `all` is the whole subscription.
 *
 * @param string[] $states  So far.
 * @param string   $email   Of the person.
 * @param string   $purpose A key.
 */
function samtykke_mailpoet_states( $states, $email, $purpose ) {
	$lists      = samtykke_lists_of( 'mailpoet', array( $purpose ) );
	$subscriber = $lists ? samtykke_mailpoet_subscriber( $email ) : null;
	if ( ! $subscriber ) {
		return $states;
	}
	$is_on = 'subscribed' === $subscriber['status'];
	if ( in_array( 'all', $lists, true ) ) {
		$states[] = $is_on ? 'subscribed' : 'unsubscribed';
	}
	foreach ( $subscriber['subscriptions'] as $subscription ) {
		if ( in_array( (string) $subscription['segment_id'], $lists, true ) ) {
			$states[] = $is_on && 'subscribed' === $subscription['status'] ? 'subscribed' : 'unsubscribed';
		}
	}
	return $states;
}

/**
 * Takes an address off MailPoet's lists.
 *
 * @param string   $email    Of the person.
 * @param string[] $purposes Keys.
 */
function samtykke_mailpoet_withdraw( $email, $purposes ) {
	$lists      = samtykke_lists_of( 'mailpoet', $purposes );
	$subscriber = $lists ? samtykke_mailpoet_subscriber( $email ) : null;
	if ( ! $subscriber ) {
		return;
	}
	if ( in_array( 'all', $lists, true ) ) {
		if ( 'unsubscribed' !== $subscriber['status'] ) { // MailPoet refuses to do it twice.
			samtykke_mailpoet()->unsubscribe( $email );
		}
		return;
	}
	$held = array_intersect( $lists, array_map( 'strval', wp_list_pluck( $subscriber['subscriptions'], 'segment_id' ) ) );
	if ( $held ) {
		samtykke_mailpoet()->unsubscribeFromLists( $email, array_map( 'intval', array_values( $held ) ) );
	}
}

/**
 * Puts an address on MailPoet's lists, without a mail to confirm: the service has one already.
 *
 * @param string   $email    Of the person.
 * @param string[] $purposes Keys.
 */
function samtykke_mailpoet_give( $email, $purposes ) {
	$lists = array_map( 'intval', array_diff( samtykke_lists_of( 'mailpoet', $purposes ), array( 'all' ) ) );
	if ( ! $lists || ! samtykke_mailpoet() ) {
		return;
	}
	$options = array( 'send_confirmation_email' => false, 'schedule_welcome_email' => false );
	if ( samtykke_mailpoet_subscriber( $email ) ) {
		samtykke_mailpoet()->subscribeToLists( $email, array_values( $lists ), $options );
	} else {
		samtykke_mailpoet()->addSubscriber( array( 'email' => $email ), array_values( $lists ), $options );
	}
}

/**
 * What The Newsletter Plugin holds about an address, or null. Its lists are the columns list_1 to list_40.
 *
 * @param string $email Of the person.
 */
function samtykke_newsletter_user( $email ) {
	$user = class_exists( 'Newsletter' ) ? Newsletter::instance()->get_user( $email ) : null;
	return is_object( $user ) ? $user : null;
}

/**
 * What The Newsletter Plugin's lists say. Its status C is confirmed.
 *
 * @param string[] $states  So far.
 * @param string   $email   Of the person.
 * @param string   $purpose A key.
 */
function samtykke_newsletter_states( $states, $email, $purpose ) {
	$lists = samtykke_lists_of( 'newsletter', array( $purpose ) );
	$user  = $lists ? samtykke_newsletter_user( $email ) : null;
	foreach ( $user ? $lists : array() as $list ) {
		$is_on    = 'C' === $user->status && ( 'all' === $list || ! empty( $user->{"list_$list"} ) );
		$states[] = $is_on ? 'subscribed' : 'unsubscribed';
	}
	return $states;
}

/**
 * Takes an address off The Newsletter Plugin's lists.
 *
 * @param string   $email    Of the person.
 * @param string[] $purposes Keys.
 */
function samtykke_newsletter_withdraw( $email, $purposes ) {
	$lists = samtykke_lists_of( 'newsletter', $purposes );
	$user  = $lists ? samtykke_newsletter_user( $email ) : null;
	if ( $user ) {
		Newsletter::instance()->save_user( array( 'id' => $user->id ) + samtykke_newsletter_columns( $lists, 'U', 0 ) );
	}
}

/**
 * Puts an address on The Newsletter Plugin's lists.
 *
 * @param string   $email    Of the person.
 * @param string[] $purposes Keys.
 */
function samtykke_newsletter_give( $email, $purposes ) {
	$lists = samtykke_lists_of( 'newsletter', $purposes );
	if ( ! $lists || ! class_exists( 'Newsletter' ) ) {
		return;
	}
	$user = samtykke_newsletter_user( $email );
	$who  = $user ? array( 'id' => $user->id ) : array( 'email' => $email );
	Newsletter::instance()->save_user( $who + array( 'status' => 'C' ) + samtykke_newsletter_columns( $lists, 'C', 1 ) );
}

/**
 * What to write: the status for `all`, a column for each list.
 *
 * @param string[] $lists  Numbers or `all`.
 * @param string   $status C or U.
 * @param int      $value  1 or 0.
 */
function samtykke_newsletter_columns( array $lists, $status, $value ) {
	$columns = array();
	foreach ( $lists as $list ) {
		$columns += 'all' === $list ? array( 'status' => $status ) : array( "list_$list" => $value );
	}
	return $columns;
}

/**
 * The two plugins that we know. A site adds its own by the same three hooks.
 */
function samtykke_know_lists() {
	foreach ( array( 'mailpoet', 'newsletter' ) as $plugin ) {
		add_filter( 'samtykke_states', "samtykke_{$plugin}_states", 10, 3 );
		add_action( 'samtykke_withdraw', "samtykke_{$plugin}_withdraw", 10, 2 );
		add_action( 'samtykke_give', "samtykke_{$plugin}_give", 10, 2 );
	}
}

/* 9 Accounts and products ------------------------------------------------------------------------------------- */

/**
 * The accounts of these addresses, each once.
 *
 * @param string[] $emails Of one person.
 * @return WP_User[]
 */
function samtykke_users( array $emails ) {
	$users = array();
	foreach ( $emails as $email ) {
		$user = get_user_by( 'email', $email );
		if ( $user ) {
			$users[ $user->ID ] = $user;
		}
	}
	return array_values( $users );
}

/**
 * Who somebody is on this site, whether restricted, and whether a product is theirs.
 *
 * @param array $body `email`, perhaps `role` or `woocommerce_product`.
 */
function samtykke_do_account( $body ) {
	$user   = get_user_by( 'email', $body['email'] );
	$answer = array( 'user' => null, 'profile' => null, 'restricted' => samtykke_is_restricted( $body['email'] ) );
	if ( $user ) {
		$answer['user']    = array( 'id' => (int) $user->ID, 'roles' => array_values( $user->roles ) );
		$answer['profile'] = array(
			'email'      => $user->user_email,
			'first_name' => samtykke_text( $user->first_name ),
			'last_name'  => samtykke_text( $user->last_name ),
			'company'    => samtykke_text( get_user_meta( $user->ID, 'billing_company', true ) ),
		);
	}
	if ( isset( $body['role'] ) ) {
		$answer['granted'] = $user && in_array( $body['role'], $user->roles, true );
	} elseif ( isset( $body['woocommerce_product'] ) ) {
		$answer['granted'] = function_exists( 'wc_get_orders' )
			&& array() !== samtykke_orders( array( $body['email'] ), $body['woocommerce_product'] );
	}
	return $answer;
}

/**
 * Text as the person wrote it: some plugins store `O&#039;Neil`.
 *
 * @param mixed $value As it is stored.
 */
function samtykke_text( $value ) {
	return html_entity_decode( (string) $value, ENT_QUOTES | ENT_HTML5, 'UTF-8' );
}

/**
 * Corrects the person's account, and what WooCommerce keeps with it. WordPress mails nobody: the service does.
 *
 * @param array $body `emails`, `profile`.
 */
function samtykke_do_rectify( $body ) {
	$profile = $body['profile'];
	$users   = samtykke_users( $body['emails'] );
	$email   = empty( $profile['email'] ) ? null : $profile['email'];
	$owner   = $email ? get_user_by( 'email', $email ) : false;
	if ( $email && ( count( $users ) > 1 || ( $owner && $users && $owner->ID !== $users[0]->ID ) ) ) {
		return samtykke_outcome( 'not_covered', 'email_taken' );
	}
	if ( $email && $users && ! is_email( $email ) ) {
		return samtykke_outcome( 'not_covered', 'email_not_possible' );
	}
	add_filter( 'send_email_change_email', '__return_false' );
	foreach ( $users as $user ) {
		samtykke_rectify_user( $user, $profile, $email );
	}
	/**
	 * Correct what you hold about these addresses.
	 *
	 * @param string[] $emails  Every one that the person has or had.
	 * @param array    $profile What is right now: email, first_name, last_name, company, as far as it is asked for.
	 */
	do_action( 'samtykke_rectify', $body['emails'], $profile );
	return samtykke_outcome( $users ? 'done' : 'not_found' );
}

/**
 * Corrects one account.
 *
 * @param WP_User     $user    The account.
 * @param array       $profile What is right now.
 * @param string|null $email   The right address, if it is to change.
 */
function samtykke_rectify_user( WP_User $user, array $profile, $email ) {
	$names   = array_intersect_key( $profile, array_flip( array( 'first_name', 'last_name' ) ) );
	$changes = array( 'ID' => $user->ID ) + $names;
	$before  = trim( $user->first_name . ' ' . $user->last_name );
	if ( in_array( $user->display_name, array_filter( array( $before, $user->user_email ) ), true ) ) {
		$after                   = $names + array( 'first_name' => $user->first_name, 'last_name' => $user->last_name );
		$after                   = trim( $after['first_name'] . ' ' . $after['last_name'] );
		$changes['display_name'] = '' !== $after ? $after : ( $email ? $email : $user->display_name );
	}
	if ( $email ) {
		$changes['user_email'] = $email;
	}
	$changed = wp_update_user( wp_slash( $changes ) );
	if ( is_wp_error( $changed ) ) {
		throw new RuntimeException( 'wp_update_user' );
	}
	foreach ( array( 'email', 'first_name', 'last_name', 'company' ) as $field ) {
		if ( isset( $profile[ $field ] ) && metadata_exists( 'user', $user->ID, "billing_$field" ) ) {
			update_user_meta( $user->ID, "billing_$field", wp_slash( $profile[ $field ] ) );
		}
	}
}

/**
 * Whether the service may give a role: none that changes the site.
 *
 * @param string $name Of the role.
 */
function samtykke_is_role_allowed( $name ) {
	$role = get_role( $name );
	foreach ( array( 'edit_posts', 'manage_options', 'manage_woocommerce', 'edit_users', 'unfiltered_html' ) as $capability ) {
		if ( $role && $role->has_cap( $capability ) ) {
			return false;
		}
	}
	return null !== $role;
}

/**
 * Gives access to what was paid for: a role, or a WooCommerce order that delivers. Once more changes nothing.
 *
 * @param array $body `reference`, `emails`, `role` or `woocommerce_product`.
 */
function samtykke_do_grant( $body ) {
	if ( isset( $body['woocommerce_product'] ) ) {
		return samtykke_order( $body );
	}
	if ( ! samtykke_is_role_allowed( $body['role'] ) ) {
		return samtykke_outcome( 'not_covered', 'role_not_allowed' );
	}
	$users = samtykke_users( $body['emails'] );
	if ( ! $users && samtykke_setting( 'CREATE_ACCOUNTS', false ) && is_email( $body['emails'][0] ) ) {
		$users = array( samtykke_create_user( $body['emails'][0], $body['role'] ) );
	}
	if ( ! $users ) {
		return samtykke_outcome( 'not_found' );
	}
	$users[0]->add_role( $body['role'] );
	return samtykke_outcome( 'done' );
}

/**
 * An account for somebody who has paid. WordPress mails a link to choose a password.
 *
 * @param string $email Of the person.
 * @param string $role  What was paid for.
 */
function samtykke_create_user( $email, $role ) {
	$id = wp_insert_user(
		array(
			'user_login'   => 'customer-' . bin2hex( random_bytes( 6 ) ), // A login cannot be changed: so it is no name.
			'user_email'   => $email,
			'user_pass'    => wp_generate_password( 32 ),
			'display_name' => strstr( $email, '@', true ),
			'role'         => $role,
		)
	);
	if ( is_wp_error( $id ) ) {
		throw new RuntimeException( 'wp_insert_user' );
	}
	wp_new_user_notification( $id, null, 'user' );
	return new WP_User( $id );
}

/**
 * Takes access away again.
 *
 * @param array $body `emails`, `role` or `woocommerce_product`.
 */
function samtykke_do_revoke( $body ) {
	if ( isset( $body['role'] ) ) {
		$users = samtykke_users( $body['emails'] );
		if ( ! samtykke_is_role_allowed( $body['role'] ) ) {
			return samtykke_outcome( 'not_covered', 'role_not_allowed' );
		}
		foreach ( $users as $user ) {
			$user->remove_role( $body['role'] );
		}
		return samtykke_outcome( $users ? 'done' : 'not_found' );
	}
	if ( ! function_exists( 'wc_get_orders' ) ) {
		return samtykke_outcome( 'not_covered', 'woocommerce_missing' );
	}
	$orders = samtykke_orders( $body['emails'], $body['woocommerce_product'] );
	foreach ( $orders as $order ) {
		$order->update_status( 'cancelled' ); // WooCommerce takes the downloads away with it.
	}
	return samtykke_outcome( $orders ? 'done' : 'not_found' );
}

/**
 * The orders that the service placed for somebody and a product, and that still deliver.
 *
 * @param string[] $emails  Of one person.
 * @param int      $product Of WooCommerce.
 */
function samtykke_orders( array $emails, $product ) {
	$found = array();
	foreach ( $emails as $email ) {
		$orders = wc_get_orders( array( 'billing_email' => $email, 'status' => array( 'completed', 'processing' ), 'limit' => -1 ) );
		foreach ( $orders as $order ) {
			if ( (int) $order->get_meta( '_samtykke_product' ) === $product ) {
				$found[ $order->get_id() ] = $order;
			}
		}
	}
	return array_values( $found );
}

/**
 * Places the order that delivers what was paid for elsewhere: of no price, and never twice.
 *
 * @param array $body `reference`, `emails`, `woocommerce_product`.
 * @return array|WP_Error
 */
function samtykke_order( $body ) {
	$product = function_exists( 'wc_get_product' ) ? wc_get_product( $body['woocommerce_product'] ) : null;
	if ( ! $product ) {
		return samtykke_outcome( 'not_covered', function_exists( 'wc_get_product' ) ? 'product_missing' : 'woocommerce_missing' );
	}
	$transaction = 'samtykke-' . $body['reference'];
	if ( ! samtykke_take( $transaction ) ) {
		return new WP_Error( 'samtykke_busy', 'The order is being placed.', array( 'status' => 409 ) );
	}
	try {
		$placed = wc_get_orders( array( 'transaction_id' => $transaction, 'limit' => 1 ) );
		if ( $placed && 'completed' !== $placed[0]->get_status() && 'cancelled' !== $placed[0]->get_status() ) {
			$placed[0]->update_status( 'completed' ); // It was begun, and the answer or the process was lost.
		} elseif ( ! $placed && ! samtykke_orders( $body['emails'], $body['woocommerce_product'] ) ) {
			samtykke_place_order( $product, $body, $transaction );
		}
	} finally {
		samtykke_release( $transaction );
	}
	$delivers = samtykke_orders( $body['emails'], $body['woocommerce_product'] );
	return $delivers ? samtykke_outcome( 'done' ) : samtykke_outcome( 'not_covered', 'order_cancelled' );
}

/**
 * Writes one order. The mark comes before the status, for only then others hear of it.
 *
 * @param object $product     WC_Product.
 * @param array  $body        `reference`, `emails`.
 * @param string $transaction By which it is found again.
 */
function samtykke_place_order( $product, $body, $transaction ) {
	$users = samtykke_users( $body['emails'] );
	$order = wc_create_order( array( 'customer_id' => $users ? $users[0]->ID : 0 ) );
	if ( is_wp_error( $order ) ) {
		throw new RuntimeException( 'wc_create_order' );
	}
	$order->set_transaction_id( $transaction );
	$order->update_meta_data( '_samtykke_reference', $body['reference'] );
	$order->update_meta_data( '_samtykke_product', $body['woocommerce_product'] );
	$order->set_billing_email( $body['emails'][0] );
	$order->add_product( $product, 1, array( 'subtotal' => 0, 'total' => 0 ) ); // It was paid for, and is booked, at Stripe.
	$order->calculate_totals();
	$order->update_status( 'completed' );
}

/* 10 Erasure and export --------------------------------------------------------------------------------------- */

/**
 * What is registered with WordPress' own privacy tools.
 *
 * @param string $kind `erasers` or `exporters`.
 * @return array<string, array>
 */
function samtykke_registered( $kind ) {
	$found = (array) apply_filters( "wp_privacy_personal_data_$kind", array() );
	return array_filter(
		$found,
		static function ( $each ) {
			return is_array( $each ) && isset( $each['callback'] ) && is_callable( $each['callback'] );
		}
	);
}

/**
 * Keys and names, in the order in which they must run.
 *
 * @param string $kind `erasers` or `exporters`.
 */
function samtykke_names( $kind ) {
	$names = array();
	$label = 'erasers' === $kind ? 'eraser_friendly_name' : 'exporter_friendly_name';
	foreach ( samtykke_registered( $kind ) as $key => $each ) {
		$name    = isset( $each[ $label ] ) ? (string) $each[ $label ] : (string) $key;
		$names[] = array( 'key' => (string) $key, 'name' => wp_strip_all_tags( $name ) );
	}
	return array( $kind => $names );
}

/**
 * Every eraser of this site.
 */
function samtykke_do_erasers() {
	return samtykke_names( 'erasers' );
}

/**
 * Every exporter of this site.
 */
function samtykke_do_exporters() {
	return samtykke_names( 'exporters' );
}

/**
 * One page of one eraser or exporter for one address.
 *
 * @param string $kind `erasers` or `exporters`.
 * @param string $key  Its key.
 * @param array  $body `email`, `page`.
 * @return array|null What it answered; null: there is none of that name.
 */
function samtykke_run( $kind, $key, $body ) {
	$registered = samtykke_registered( $kind );
	if ( ! isset( $registered[ $key ] ) ) {
		return null;
	}
	$answer = call_user_func( $registered[ $key ]['callback'], $body['email'], $body['page'] );
	if ( ! is_array( $answer ) || ! isset( $answer['done'] ) ) {
		throw new UnexpectedValueException( $kind );
	}
	return $answer;
}

/**
 * Erases one page. Its sentences stay here.
 *
 * @param array $body `email`, `eraser`, `page`.
 * @return array|WP_Error
 */
function samtykke_do_erase( $body ) {
	$answer = samtykke_run( 'erasers', $body['eraser'], $body );
	if ( null === $answer ) {
		return samtykke_invalid();
	}
	return array(
		'removed'  => ! empty( $answer['items_removed'] ),
		'retained' => ! empty( $answer['items_retained'] ),
		'done'     => (bool) $answer['done'],
	);
}

/**
 * Exports one page.
 *
 * @param array $body `email`, `exporter`, `page`.
 * @return array|WP_Error
 */
function samtykke_do_export( $body ) {
	$answer = samtykke_run( 'exporters', $body['exporter'], $body );
	if ( null === $answer || ! isset( $answer['data'] ) || ! is_array( $answer['data'] ) ) {
		return samtykke_invalid();
	}
	$items = array();
	foreach ( $answer['data'] as $item ) {
		$pairs = array();
		foreach ( isset( $item['data'] ) ? (array) $item['data'] : array() as $pair ) {
			$value   = is_scalar( $pair['value'] ) ? samtykke_text( $pair['value'] ) : $pair['value'];
			$pairs[] = array( 'name' => samtykke_text( $pair['name'] ), 'value' => $value );
		}
		$items[] = array(
			'group_label' => samtykke_text( isset( $item['group_label'] ) ? $item['group_label'] : '' ),
			'item_id'     => (string) ( isset( $item['item_id'] ) ? $item['item_id'] : '' ),
			'data'        => $pairs,
		);
	}
	return array( 'data' => $items, 'done' => (bool) $answer['done'] );
}

/**
 * Our own erasers: the outbox always; the others only for the service. The account comes last, for they look it up.
 *
 * @param array $erasers Of WordPress.
 */
function samtykke_erasers( $erasers ) {
	$erasers['samtykke-outbox'] = array( 'eraser_friendly_name' => 'Samtykke: outbox', 'callback' => 'samtykke_erase_outbox' );
	if ( samtykke_call() && class_exists( 'GFAPI' ) ) {
		$erasers['samtykke-gravityforms'] = array( 'eraser_friendly_name' => 'Samtykke: Gravity Forms', 'callback' => 'samtykke_erase_gravity_forms' );
	}
	if ( samtykke_call() && ! samtykke_setting( 'KEEP_ACCOUNTS', false ) ) {
		$erasers['samtykke-account'] = array( 'eraser_friendly_name' => 'Samtykke: account', 'callback' => 'samtykke_erase_account' );
	}
	return $erasers;
}

/**
 * The rows of the outbox that still have content and name an address.
 *
 * @param string $email Of the person.
 * @return object[]
 */
function samtykke_rows_of( $email ) {
	global $wpdb;
	$outbox  = samtykke_table( 'outbox' );
	// With its quotes: `kari@example.no` is not within `siri.kari@example.no`.
	$written = (string) wp_json_encode( $email, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE );
	return $wpdb->get_results(
		$wpdb->prepare( "SELECT * FROM $outbox WHERE body LIKE %s ORDER BY number", '%' . $wpdb->esc_like( $written ) . '%' )
	);
}

/**
 * Sends what is waiting, for it may be what the person wants; deletes what was given up.
 *
 * @param string $email Of the person.
 */
function samtykke_erase_outbox( $email ) {
	global $wpdb;
	$removed = false;
	foreach ( samtykke_rows_of( $email ) as $row ) {
		if ( 'dead' === $row->state ) {
			$wpdb->update( samtykke_table( 'outbox' ), array( 'body' => '' ), array( 'number' => $row->number ) );
			$removed = true;
		} elseif ( samtykke_may_send() ) {
			samtykke_deliver( $row );
		}
	}
	$waiting = array() !== samtykke_rows_of( $email );
	return array( 'items_removed' => $removed, 'items_retained' => $waiting, 'messages' => array(), 'done' => true );
}

/**
 * Deletes the account itself, which no eraser of WordPress does. Not of those who write on this site.
 *
 * @param string $email Of the person.
 */
function samtykke_erase_account( $email ) {
	require_once ABSPATH . 'wp-admin/includes/ms.php';
	$user  = get_user_by( 'email', $email );
	$keeps = $user && ( user_can( $user, 'edit_posts' ) || ( is_multisite() && is_super_admin( $user->ID ) ) );
	if ( $user && ! $keeps ) {
		if ( ! is_multisite() ) {
			wp_delete_user( $user->ID );
		} elseif ( count( get_blogs_of_user( $user->ID ) ) > 1 ) {
			remove_user_from_blog( $user->ID );
			$keeps = true; // Other sites of the network have it.
		} else {
			wpmu_delete_user( $user->ID );
		}
	}
	return array( 'items_removed' => $user && ! $keeps, 'items_retained' => $keeps, 'messages' => array(), 'done' => true );
}

/**
 * A page of the entries of Gravity Forms that name an address in any field, of every form and status.
 *
 * Its own eraser answers that it is done, and erases nothing, for forms that were not set up for it (seen in 2.10).
 * Source: docs.gravityforms.com/searching-and-getting-entries-with-the-gfapi.
 *
 * @param string $email  Of the person.
 * @param int    $offset How many to leave out.
 * @return array[]
 */
function samtykke_gravity_forms_entries( $email, $offset = 0 ) {
	$search = array( 'field_filters' => array( array( 'key' => '0', 'operator' => 'is', 'value' => $email ) ) );
	$found  = GFAPI::get_entries( 0, $search, null, array( 'offset' => $offset, 'page_size' => SAMTYKKE_ENTRIES_PAGE ) );
	if ( is_wp_error( $found ) ) {
		throw new RuntimeException( 'GFAPI::get_entries' );
	}
	return $found;
}

/**
 * Deletes a page of entries for good. Whatever page is asked for, the first one is what is left.
 *
 * @param string $email Of the person.
 */
function samtykke_erase_gravity_forms( $email ) {
	$found = samtykke_gravity_forms_entries( $email );
	foreach ( $found as $entry ) {
		if ( is_wp_error( GFAPI::delete_entry( $entry['id'] ) ) ) {
			throw new RuntimeException( 'GFAPI::delete_entry' );
		}
	}
	return array( 'items_removed' => array() !== $found, 'items_retained' => false, 'messages' => array(), 'done' => count( $found ) < SAMTYKKE_ENTRIES_PAGE );
}

/**
 * A page of entries, field by field.
 *
 * @param string $email Of the person.
 * @param int    $page  From 1.
 */
function samtykke_export_gravity_forms( $email, $page ) {
	$items = array();
	$found = samtykke_gravity_forms_entries( $email, ( $page - 1 ) * SAMTYKKE_ENTRIES_PAGE );
	foreach ( $found as $entry ) {
		$data = array();
		foreach ( $entry as $name => $value ) {
			if ( is_scalar( $value ) && '' !== (string) $value ) {
				$data[] = array( 'name' => (string) $name, 'value' => $value );
			}
		}
		$items[] = array( 'group_label' => 'Gravity Forms', 'item_id' => 'entry-' . $entry['id'], 'data' => $data );
	}
	return array( 'data' => $items, 'done' => count( $found ) < SAMTYKKE_ENTRIES_PAGE );
}

/**
 * Our own exporters: what waits in the outbox; for the service also what the eraser of Gravity Forms looks for.
 *
 * @param array $exporters Of WordPress.
 */
function samtykke_exporters( $exporters ) {
	$exporters['samtykke-outbox'] = array( 'exporter_friendly_name' => 'Samtykke: outbox', 'callback' => 'samtykke_export_outbox' );
	if ( samtykke_call() && class_exists( 'GFAPI' ) ) {
		$exporters['samtykke-gravityforms'] = array( 'exporter_friendly_name' => 'Samtykke: Gravity Forms', 'callback' => 'samtykke_export_gravity_forms' );
	}
	return $exporters;
}

/**
 * What the outbox holds about an address.
 *
 * @param string $email Of the person.
 */
function samtykke_export_outbox( $email ) {
	$items = array();
	foreach ( samtykke_rows_of( $email ) as $row ) {
		$items[] = array(
			'group_id'    => 'samtykke-outbox',
			'group_label' => 'Samtykke: not sent yet',
			'item_id'     => 'samtykke-' . $row->number,
			'data'        => array( array( 'name' => "$row->plugin $row->form", 'value' => $row->body ) ),
		);
	}
	return array( 'data' => $items, 'done' => true );
}

/* 11 What an administrator sees ------------------------------------------------------------------------------- */

/**
 * A link to the service's page of preferences: `[samtykke_preferences]My consents[/samtykke_preferences]`.
 *
 * It shows nothing about anybody, so a page with it may be cached.
 *
 * @param mixed  $attributes None are read.
 * @param string $content    The link's text.
 */
function samtykke_preferences( $attributes, $content = '' ) {
	$url  = (string) samtykke_setting( 'PREFERENCES_URL' );
	$text = '' === (string) $content ? 'Your consents' : $content;
	return '' === $url ? '' : sprintf( '<a class="samtykke-preferences" href="%s">%s</a>', esc_url( $url ), esc_html( $text ) );
}

/**
 * What is wrong here, in words for an administrator.
 *
 * @return string[]
 */
function samtykke_problems() {
	$problems = array();
	if ( ! preg_match( '#^https?://#', (string) samtykke_setting( 'URL' ) ) ) {
		$problems[] = 'SAMTYKKE_URL is missing in wp-config.php: nothing is sent.';
	}
	if ( array() === samtykke_keys() ) {
		$problems[] = 'SAMTYKKE_SECRET is missing in wp-config.php, or is no whsec_… of the service: nothing is sent or done.';
	}
	if ( ! samtykke_is_this_site() ) {
		$problems[] = 'This is not the site of SAMTYKKE_SITE, so nothing is sent from here.';
		return $problems;
	}
	$figures = samtykke_outbox_figures();
	if ( $figures['oldest_waiting_s'] > SAMTYKKE_LATE_S ) {
		$problems[] = sprintf( '%d submissions wait, the oldest for %d minutes. Is the service running, and WordPress\' cron?', $figures['waiting'], $figures['oldest_waiting_s'] / 60 );
	}
	if ( $figures['dead'] > 0 ) {
		$problems[] = sprintf( '%d submissions were given up. Send them again by: wp samtykke retry', $figures['dead'] );
	}
	return $problems;
}

/**
 * Shows the problems to those who can do something about them.
 */
function samtykke_notice() {
	if ( ! current_user_can( 'manage_options' ) ) {
		return;
	}
	foreach ( samtykke_problems() as $problem ) {
		printf( '<div class="notice notice-error"><p><strong>Samtykke:</strong> %s</p></div>', esc_html( $problem ) );
	}
}

/**
 * `wp samtykke retry`: what was given up waits again, and what waits is sent now.
 */
function samtykke_retry() {
	global $wpdb;
	$outbox = samtykke_table( 'outbox' );
	$wpdb->query( "UPDATE $outbox SET state = 'waiting', attempts = 0 WHERE state = 'dead' AND body <> ''" );
	$wpdb->query( "UPDATE $outbox SET next_at = 0 WHERE state = 'waiting'" );
	samtykke_flush();
	$figures = samtykke_outbox_figures();
	WP_CLI::log( sprintf( 'waiting: %d, dead: %d', $figures['waiting'], $figures['dead'] ) );
}

samtykke_create_tables();
samtykke_admit();
samtykke_listen_to_all();
samtykke_know_lists();
add_filter( 'cron_schedules', 'samtykke_schedules' ); // phpcs:ignore WordPress.WP.CronInterval
add_action( 'init', 'samtykke_plan' );
add_action( 'samtykke_flush', 'samtykke_flush' );
add_action( 'rest_api_init', 'samtykke_register_routes' );
add_filter( 'rest_pre_dispatch', 'samtykke_guard', 0, 3 );
add_filter( 'wp_privacy_personal_data_erasers', 'samtykke_erasers', PHP_INT_MAX );
add_filter( 'wp_privacy_personal_data_exporters', 'samtykke_exporters' );
add_shortcode( 'samtykke_preferences', 'samtykke_preferences' );
add_action( 'admin_notices', 'samtykke_notice' );
if ( defined( 'WP_CLI' ) && WP_CLI ) {
	WP_CLI::add_command( 'samtykke retry', 'samtykke_retry' );
}
