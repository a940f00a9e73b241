<?php
// A must-use plugin of the tests that holds notes about people, as form plugins do, and brings its erasers and
// exporters as they do: some everywhere, some in the administration only, and one that says done and does nothing.

/** Removes up to two notes a page. */
function test_erase_notes( $store, $email ) {
	$notes = get_option( $store, array() );
	$held  = array_keys( $notes, $email, true );
	foreach ( array_slice( $held, 0, 2 ) as $key ) {
		unset( $notes[ $key ] );
	}
	update_option( $store, $notes );
	return array( 'items_removed' => min( 2, count( $held ) ), 'items_retained' => false, 'messages' => array( "Removed for $email." ), 'done' => count( $held ) <= 2 );
}

/** One note a page. */
function test_export_notes( $store, $email, $page ) {
	$held = array_keys( get_option( $store, array() ), $email, true );
	$data = array();
	foreach ( array_slice( $held, $page - 1, 1 ) as $key ) {
		$data[] = array( 'group_id' => $store, 'group_label' => 'Notes &amp; more', 'item_id' => "note-$key", 'data' => array( array( 'name' => 'E-mail', 'value' => $email ) ) );
	}
	return array( 'data' => $data, 'done' => $page >= count( $held ) );
}

add_action(
	'plugins_loaded',
	static function () {
		$stores = is_admin() ? array( 'notes-front', 'notes-admin' ) : array( 'notes-front' );
		add_filter(
			'wp_privacy_personal_data_erasers',
			static function ( $erasers ) use ( $stores ) {
				foreach ( $stores as $store ) {
					$erasers[ $store ] = array( 'eraser_friendly_name' => "<b>$store</b>", 'callback' => static function ( $email, $page ) use ( $store ) {
						return test_erase_notes( $store, $email );
					} );
				}
				$erasers['notes-kept'] = array( 'eraser_friendly_name' => 'Kept', 'callback' => static function ( $email, $page ) {
					$held = in_array( $email, get_option( 'notes-kept', array() ), true );
					// As Flamingo does: who may not is told that there is nothing.
					return array( 'items_removed' => 0, 'items_retained' => $held && current_user_can( 'manage_options' ), 'messages' => array(), 'done' => true );
				} );
				return $erasers;
			}
		);
		add_filter(
			'wp_privacy_personal_data_exporters',
			static function ( $exporters ) use ( $stores ) {
				foreach ( $stores as $store ) {
					$exporters[ $store ] = array( 'exporter_friendly_name' => $store, 'callback' => static function ( $email, $page ) use ( $store ) {
						return test_export_notes( $store, $email, $page );
					} );
				}
				return $exporters;
			}
		);
	}
);
