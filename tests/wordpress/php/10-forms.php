<?php
// A must-use plugin of the tests: fires each form plugin's own hook with arguments of the shape that was recorded from
// it, or that its source has. The plugins themselves are in no registry. POST /wp-json/test/v1/hooks/<plugin>.

class WPCF7_Submission {
	public static $posted = array();
	public static function get_instance() {
		return new self();
	}
	public function get_posted_data() {
		return self::$posted;
	}
	public function get_meta( $name ) {
		return 'timestamp' === $name ? 1795400000 : null;
	}
}

class Test_Form {
	public function id() {
		return 12;
	}
}

class Test_Elementor_Record {
	public $posted;
	public function get( $name ) {
		return 'fields' === $name ? $this->posted : null;
	}
	public function get_form_settings( $name ) {
		return 'id' === $name ? '7f3a91c' : null;
	}
}

class FrmEntry {
	public static $metas = array();
	public static function getOne( $id, $with_metas ) {
		return (object) array( 'id' => $id, 'metas' => $with_metas ? self::$metas : array() );
	}
}

class FrmField {
	public static function get_all_for_form( $form_id ) {
		return array(
			(object) array( 'id' => 8, 'form_id' => $form_id, 'field_key' => 'email' ),
			(object) array( 'id' => 9, 'form_id' => $form_id, 'field_key' => 'newsletter' ),
		);
	}
}

class Forminator_API {
	public static function get_form_fields( $form_id ) {
		return array( (object) array( 'slug' => 'email-1' ), (object) array( 'slug' => 'consent-1' ) );
	}
}

/** Each plugin's hook: what is called with whom, whether ticked, and as which entry. */
function test_hooks() {
	return array(
		'contact-form-7' => static function ( $email, $ticked, $entry ) {
			WPCF7_Submission::$posted = array( 'your-email' => $email, 'first-name' => "Zoë O'Neil", 'topics' => array( 'offers', 'news' ), 'newsletter' => $ticked ? array( '1' ) : array(), 'entry' => $entry );
			$abort = false;
			do_action_ref_array( 'wpcf7_before_send_mail', array( new Test_Form(), &$abort, WPCF7_Submission::get_instance() ) );
		},
		'gravityforms'   => static function ( $email, $ticked, $entry ) {
			$stored = array( 'id' => $entry, 'form_id' => '1', 'date_created' => '2026-11-23 01:25:45', 'ip' => '127.0.0.1', 'status' => 'active', '1.3' => 'Zoë', '1.6' => "O'Neil", '2' => $email, '5.1' => $ticked ? '1' : '', '5.2' => $ticked ? 'I agree' : '' );
			do_action( 'gform_after_submission', $stored, array( 'id' => 1, 'title' => 'Newsletter' ) );
		},
		'wpforms'        => static function ( $email, $ticked, $entry ) {
			$fields = array(
				1 => array( 'name' => 'Name', 'value' => "Zoë O'Neil", 'id' => 1, 'type' => 'name', 'first' => 'Zoë', 'middle' => '', 'last' => "O'Neil" ),
				2 => array( 'name' => 'Email', 'value' => $email, 'id' => 2, 'type' => 'email' ),
				3 => array( 'name' => 'Newsletter', 'value' => $ticked ? 'I agree' : '', 'id' => 3, 'type' => 'checkbox' ),
			);
			do_action( 'wpforms_process_complete', $fields, array(), array( 'id' => 7, 'settings' => array() ), $entry );
		},
		'elementor'      => static function ( $email, $ticked, $entry ) {
			$record         = new Test_Elementor_Record();
			$record->posted = array(
				'email'   => array( 'id' => 'email', 'type' => 'email', 'title' => 'E-Mail', 'value' => $email, 'raw_value' => $email ),
				'consent' => array( 'id' => 'consent', 'type' => 'acceptance', 'title' => 'Consent', 'value' => $ticked ? 'on' : '', 'raw_value' => $ticked ? 'on' : '' ),
				'number'  => array( 'id' => 'number', 'type' => 'hidden', 'title' => '', 'value' => $entry, 'raw_value' => $entry ),
			);
			do_action( 'elementor_pro/forms/new_record', $record, null );
		},
		'fluentform'     => static function ( $email, $ticked, $entry ) {
			$data   = array( '_fluentform_3_fluentformnonce' => 'x', 'names' => array( 'first_name' => 'Zoë', 'last_name' => "O'Neil" ), 'email' => $email ) + ( $ticked ? array( 'newsletter' => 'on' ) : array() );
			$fields = array( 'fields' => array( array( 'element' => 'input_email', 'attributes' => array( 'name' => 'email' ) ), array( 'element' => 'container', 'columns' => array( array( 'fields' => array( array( 'element' => 'terms', 'attributes' => array( 'name' => 'newsletter' ) ) ) ) ) ) ) );
			do_action( 'fluentform/submission_inserted', $entry, $data, (object) array( 'id' => 3, 'form_fields' => wp_json_encode( $fields ) ) );
		},
		'formidable'     => static function ( $email, $ticked, $entry ) {
			FrmEntry::$metas = array( 8 => $email ) + ( $ticked ? array( 9 => array( 'Yes' ) ) : array() );
			do_action( 'frm_after_create_entry', $entry, 2, array( 'is_child' => false ) );
			do_action( 'frm_after_create_entry', $entry + 1, 2, array( 'is_child' => true ) );
		},
		'ninja-forms'    => static function ( $email, $ticked, $entry ) {
			$fields = array( 1 => array( 'id' => 1, 'key' => 'email_1', 'type' => 'email', 'value' => $email ), 2 => array( 'id' => 2, 'key' => 'consent_2', 'type' => 'checkbox', 'value' => $ticked ? 1 : 0 ) );
			do_action( 'ninja_forms_after_submission', array( 'form_id' => 4, 'settings' => array(), 'actions' => array( 'save' => array( 'sub_id' => $entry ) ), 'fields' => $fields ) );
		},
		'forminator'     => static function ( $email, $ticked, $entry ) {
			$data = array( array( 'name' => 'email-1', 'value' => $email ), array( 'name' => '_forminator_user_ip', 'value' => '127.0.0.1' ) );
			if ( $ticked ) {
				$data[] = array( 'name' => 'consent-1', 'value' => 'checked' );
			}
			do_action( 'forminator_custom_form_submit_before_set_fields', (object) array( 'entry_id' => $entry ), 16, $data );
		},
		'ws-form'        => static function ( $email, $ticked, $entry ) {
			$meta = array( 'field_1' => array( 'id' => 1, 'value' => $email ), 'field_2' => array( 'id' => 2, 'value' => $ticked ? array( 'Yes' ) : '' ), 'tracking' => 'x' );
			do_action( 'wsf_submit_post_complete', (object) array( 'id' => $entry, 'form_id' => 5, 'meta' => $meta ) );
		},
		'jetpack'        => static function ( $email, $ticked, $entry ) {
			if ( ! get_post( $entry ) ) {
				wp_insert_post( array( 'import_id' => $entry, 'post_type' => 'feedback', 'post_title' => 'Newsletter', 'post_parent' => 1 ) );
			}
			$fields = array( 'g9-email' => (object) array( 'value' => $email ), 'g9-consent' => (object) array( 'value' => $ticked ? 'Yes' : '' ) );
			do_action( 'grunion_after_feedback_post_inserted', $entry, $fields, false, array() );
		},
	);
}

add_action(
	'rest_api_init',
	static function () {
		register_rest_route(
			'test/v1',
			'/hooks/(?P<plugin>[a-z0-9-]+)',
			array(
				'methods'             => 'POST',
				'permission_callback' => '__return_true',
				'callback'            => static function ( $request ) {
					$given = $request->get_json_params() + array( 'email' => 'zoe@example.test', 'ticked' => true, 'entry' => 15, 'times' => 1 );
					for ( $time = 0; $time < $given['times']; $time++ ) {
						test_hooks()[ $request['plugin'] ]( $given['email'], $given['ticked'], $given['entry'] );
					}
					return array( 'fired' => $given['times'] );
				},
			)
		);
	}
);
