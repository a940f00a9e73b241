<?php
// Installs WordPress without a browser: php install.php <folder of WordPress>. Prints an application password.
$_SERVER += array(
	'HTTP_HOST'       => '127.0.0.1',
	'REQUEST_URI'     => '/',
	'REQUEST_METHOD'  => 'GET',
	'SERVER_PROTOCOL' => 'HTTP/1.1',
	'SERVER_NAME'     => '127.0.0.1',
	'REMOTE_ADDR'     => '127.0.0.1',
);
define( 'WP_INSTALLING', true );
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
add_filter( 'pre_wp_mail', '__return_true' );
wp_install( 'Example', 'admin', 'admin@example.test', false, '', 'admin-of-the-tests' );
update_option( 'permalink_structure', '/%postname%/' );
list( $password ) = WP_Application_Passwords::create_new_application_password( 1, array( 'name' => 'tests' ) );
echo $password;
